from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch


class Buffers(torch.nn.Module):
    """A module whose state is named buffers and nothing else.

    Parameters
    ----------
    buffers
        What it holds, by name.

    Raises
    ------
    ValueError
        If they are not those of this class.
    """

    names: ClassVar[tuple[str, ...]]
    """What they are called, all of them and no others."""

    def __init__(self, buffers: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        if set(buffers) != set(self.names):
            raise ValueError(f"the tensors are {sorted(buffers)}, expected {sorted(self.names)}")
        for name, value in buffers.items():
            self.register_buffer(name, value)


class ConstantField(Buffers):
    """The field ``mean``, ``(channel, *space)``, whatever the input."""

    names: ClassVar[tuple[str, ...]] = ("mean",)

    mean: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return it for every sample, ``(n, channel, *space)``.

        Raises
        ------
        ValueError
            If ``x`` lies on another grid.
        """
        if x.shape[2:] != self.mean.shape[1:]:
            raise ValueError(
                f"the fields lie on a grid of {tuple(x.shape[2:])} points; this surrogate works on the grid of its "
                f"training alone, {tuple(self.mean.shape[1:])}"
            )
        return self.mean.expand(len(x), *self.mean.shape)


class RepeatedChannels(Buffers):
    """Output channels that are input channels in other units.

    Each is ``factor`` times the input channel numbered ``channel``, plus ``shift``; all three are ``(outputs,)``.
    """

    names: ClassVar[tuple[str, ...]] = ("channel", "factor", "shift")

    channel: torch.Tensor
    factor: torch.Tensor
    shift: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return them, ``(n, outputs, *space)``, from ``(n, inputs, *space)``."""
        shape = (-1, *(1,) * (x.ndim - 2))
        return x[:, self.channel] * self.factor.reshape(shape) + self.shift.reshape(shape)
