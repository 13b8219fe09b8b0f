from __future__ import annotations

from typing import Any

import torch


class Staggered(torch.nn.Module):
    """Runs a network on the sub-fields of every so-many-th point.

    Parameters
    ----------
    network
        Maps ``(batch, channels, *space)`` to ``(batch, channels, *space)``, on the grid of a sub-field.
    stride
        Distance between the points of a sub-field.
    together
        Whether all sub-fields are channels of one sample, the sub-fields of a channel together; else each is a sample.
    """

    def __init__(self, network: torch.nn.Module, stride: int, *, together: bool) -> None:
        super().__init__()
        self.network, self.stride, self.together = network, stride, together

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, outputs, *space)`` for ``x`` ``(batch, inputs, *space)``."""
        space = x.shape[2:]
        sides = [n for points in reversed(space) for n in (0, -points % self.stride)]
        parts = subfields(torch.nn.functional.pad(x, sides, mode="replicate"), self.stride)
        # Sub-fields beside the channels, or beside the samples.
        axis = 2 if self.together else 1
        moved = parts.movedim(1, axis)
        answer = self.network(moved.flatten(axis - 1, axis))
        answer = answer.unflatten(axis - 1, (-1, parts.shape[1])).movedim(axis, 1)
        inside: tuple[Any, ...] = (..., *(slice(n) for n in space))
        return whole(answer, self.stride)[inside]


def subfields(x: torch.Tensor, stride: int) -> torch.Tensor:
    """Return the sub-fields of fields ``(batch, channel, *space)`` whose points the stride divides.

    Returns
    -------
    torch.Tensor
        ``(batch, sub-field, channel, *(n / stride for n in space))``, sub-fields in row-major order of their first
        points.
    """
    axes = x.ndim - 2
    cut = x.reshape(*x.shape[:2], *(n for points in x.shape[2:] for n in (points // stride, stride)))
    order = (0, *range(3, 3 + 2 * axes, 2), 1, *range(2, 2 + 2 * axes, 2))
    cut = cut.permute(order)
    return cut.reshape(len(x), stride**axes, *cut.shape[1 + axes :])


def whole(parts: torch.Tensor, stride: int) -> torch.Tensor:
    """Put sub-fields in the order of `subfields` together again."""
    axes = parts.ndim - 3
    cut = parts.reshape(len(parts), *(stride,) * axes, *parts.shape[2:])
    order = (0, 1 + axes, *(part for axis in range(axes) for part in (2 + axes + axis, 1 + axis)))
    return cut.permute(order).reshape(len(parts), parts.shape[2], *(stride * n for n in parts.shape[3:]))
