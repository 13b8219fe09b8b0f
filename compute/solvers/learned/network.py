from __future__ import annotations

import torch

_COARSEST = 4
"""Cells along the shorter axis at which no coarser grid follows."""

_SLOPE = 0.2


class Cycle(torch.nn.Module):
    """Convolutions on a grid, on one of half as many cells and so on, and back up; the same weights on all grids.

    Nothing is added, so that c r gives c times what r gives, for c > 0. A grid of twice as many cells along each axis
    takes one more coarser grid and no more weights: that of a problem whose equations look alike on all grids.

    Parameters
    ----------
    width
        Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()

        def convolution(inputs: int, outputs: int) -> torch.nn.Conv2d:
            return torch.nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)

        self.lifting, self.projection = convolution(1, width), convolution(width, 1)
        self.before = torch.nn.ModuleList(convolution(width, width) for _ in range(2))
        self.down, self.up = convolution(width, width), convolution(width, width)
        self.after = torch.nn.ModuleList(convolution(width, width) for _ in range(2))

    def forward(self, residuals: torch.Tensor) -> torch.Tensor:
        """Return directions for residuals, both ``(n, ny, nx)``."""
        found: torch.Tensor = self.projection(self._cycle(self.lifting(residuals[:, None])))[:, 0]
        return found

    def _cycle(self, x: torch.Tensor) -> torch.Tensor:
        functional = torch.nn.functional
        for layer in self.before:
            x = x + functional.leaky_relu(layer(x), _SLOPE)
        ny, nx = x.shape[-2:]
        if min(ny, nx) >= 2 * _COARSEST:
            # An odd number of cells is widened by one, as if the wall lay there.
            wide = functional.pad(x, (0, nx % 2, 0, ny % 2))
            coarse = self._cycle(self.down(functional.avg_pool2d(wide, 2)))
            fine = functional.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
            x = x + self.up(fine)[..., :ny, :nx]
        for layer in self.after:
            x = x + functional.leaky_relu(layer(x), _SLOPE)
        return x
