from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch

from ritz.compute.surrogates.networks.convolution import convolution
from ritz.compute.surrogates.networks.coordinates import Coordinates


class UNet(torch.nn.Module):
    """Residual convolutions on grids that halve ``depth`` times, then on the same grids back up.

    Parameters
    ----------
    inputs, outputs
        Channels.
    axes
        Dimensions of space.
    width
        Channels on the finest grid; twice as many on each coarser one.
    depth
        Coarser grids.
    coordinates
        Whether it also sees where a point lies.
    """

    def __init__(self, inputs: int, outputs: int, axes: int, width: int, depth: int, coordinates: bool) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.axes, self.depth = axes, depth
        self.coordinates = Coordinates() if coordinates else torch.nn.Identity()
        self.lifting = convolution(axes)(inputs + axes * coordinates, width, 3, padding=1)
        self.down = torch.nn.ModuleList(Residual(before, after, axes) for before, after in pairwise([width, *widths]))
        self.up = torch.nn.ModuleList(Residual(coarse + fine, fine, axes) for fine, coarse in pairwise(widths))
        self.projection = convolution(axes)(width, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, outputs, *space)`` for ``x`` ``(batch, inputs, *space)``.

        A grid that does not halve evenly is widened, its last values repeated, and the answer cut back.
        """
        functional = torch.nn.functional
        space = x.shape[2:]
        x = self.coordinates(x)
        x = functional.pad(x, [n for points in reversed(space) for n in (0, -points % 2**self.depth)], mode="replicate")
        x = self.lifting(x)
        pool = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[self.axes - 1]
        mode = ("linear", "bilinear", "trilinear")[self.axes - 1]
        levels = []
        for level, block in enumerate(self.down):
            x = block(pool(x, 2) if level else x)
            levels.append(x)
        for level in reversed(range(self.depth)):
            x = functional.interpolate(x, scale_factor=2, mode=mode, align_corners=False)
            x = self.up[level](torch.cat([x, levels[level]], dim=1))
        inside: tuple[Any, ...] = (..., *(slice(n) for n in space))
        answer: torch.Tensor = self.projection(functional.gelu(x))[inside]
        return answer


class Residual(torch.nn.Module):
    """Two convolutions after GELU each, beside a pointwise path."""

    def __init__(self, inputs: int, outputs: int, axes: int) -> None:
        super().__init__()
        conv = convolution(axes)
        self.first = conv(inputs, outputs, 3, padding=1)
        self.second = conv(outputs, outputs, 3, padding=1)
        self.beside = conv(inputs, outputs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, outputs, *space)`` for ``x`` ``(batch, inputs, *space)``."""
        gelu = torch.nn.functional.gelu
        answer: torch.Tensor = self.beside(x) + self.second(gelu(self.first(gelu(x))))
        return answer
