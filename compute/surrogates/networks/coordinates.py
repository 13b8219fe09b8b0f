from __future__ import annotations

from collections.abc import Sequence

import torch


def centres(space: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    """Return the coordinates of the cell centres, ``(axes, *space)``, from −1 to 1 between the walls.

    A point that lies on two grids has the same coordinates on both. Type and device are those of ``like``.
    """
    lines = [(2 * torch.arange(n, device=like.device, dtype=like.dtype) + 1) / n - 1 for n in space]
    return torch.stack(torch.meshgrid(*lines, indexing="ij"))


class Coordinates(torch.nn.Module):
    """Appends one channel an axis with the coordinate of the cell centres; see `centres`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, channel + axes, *space)`` for ``x`` ``(batch, channel, *space)``."""
        grids = centres(x.shape[2:], x)
        return torch.cat([x, grids.expand(len(x), *grids.shape)], dim=1)
