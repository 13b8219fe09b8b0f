from __future__ import annotations

import math
from typing import Any

import torch
from neuralop.layers.differential_conv import FiniteDifferenceConvolution

from ritz.compute.surrogates.networks.fourier import TruncatedConv

REACH = 1.5
"""How far the local integral reaches, in spacings of the grid with ``reference`` points."""
NODES = 3
"""Values of the local integral's kernel along an axis."""


class LocalConv(TruncatedConv):
    """A spectral convolution, a differential kernel and a local integral side by side.

    Parameters
    ----------
    reference
        Points along an axis where the differential kernel's differences are of neighbours at distance 1.
    args, options
        Of the spectral convolution.
    """

    def __init__(self, *args: Any, reference: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self.reference = reference
        self.difference = FiniteDifferenceConvolution(
            self.in_channels, self.out_channels, self.order, kernel_size=3, padding="replicate"
        )
        # The library keeps one tensor under two names, and both would be saved.
        del self.difference.weight
        self.integral = LocalIntegral(self.in_channels, self.out_channels, self.order, REACH / reference)

    def forward(self, x: torch.Tensor, output_shape: tuple[int, ...] | None = None) -> torch.Tensor:
        """Return the sum of the three for ``x`` ``(batch, channel, *space)``."""
        if output_shape is not None or self.resolution_scaling_factor is not None:
            raise ValueError("a local convolution keeps the grid; leave output_shape and scaling out")
        space = x.shape[2:]
        # One width for all axes: the kernels' derivatives are right on grids refined alike along all of them.
        width = self.reference / math.prod(space) ** (1 / len(space))
        answer: torch.Tensor = super().forward(x) + self.difference(x, width) + self.integral(x)
        return answer


class LocalIntegral(torch.nn.Module):
    """∫ κ(x − y) f(y) dy over the points y of the box near x, the same on any grid.

    Along every axis the kernel κ is piecewise linear between `NODES` values and zero from ``reach`` on. It is
    integrated exactly over the cells, in each of which f is constant; so a coarse grid sees all of it too, and the
    integral of a field that is constant near x does not depend on the grid.

    The layer of the library (discrete-continuous convolutions) is for two dimensions and one grid, and needs
    torch-harmonics, of whose releases none that has what it imports works with the torch that is used here.

    Source: Liu-Schiaffini et al., "Neural operators with localized integral and differential kernels", ICML 2024.

    Parameters
    ----------
    inputs, outputs
        Channels.
    axes
        Dimensions of space.
    reach
        Largest distance along an axis, as a share of the box.
    """

    def __init__(self, inputs: int, outputs: int, axes: int, reach: float) -> None:
        super().__init__()
        self.reach = reach
        nodes = (NODES,) * axes
        self.weight = torch.nn.Parameter(torch.randn(outputs, inputs, *nodes) / math.sqrt(inputs * NODES**axes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, outputs, *space)`` for ``x`` ``(batch, inputs, *space)``."""
        kernel = self.weight
        for axis, n in enumerate(x.shape[2:]):
            kernel = torch.tensordot(kernel, self._shares(n).to(x), dims=([2 + axis], [1])).movedim(-1, 2 + axis)
        convolve = (torch.conv1d, torch.conv2d, torch.conv3d)[x.ndim - 3]
        return convolve(x, kernel, padding=[size // 2 for size in kernel.shape[2:]])

    def _shares(self, points: int) -> torch.Tensor:
        """Return the integral of each hat over each cell near a point, ``(cells, NODES)``, one in all a hat."""
        cells = max(0, math.ceil(self.reach * points - 0.5 - 1e-9))
        edges = (torch.arange(-cells, cells + 2, dtype=torch.float64) - 0.5) / points
        half = 2 * self.reach / (NODES + 1)
        nodes = half * (torch.arange(NODES) - NODES // 2)
        t = ((edges[:, None] - nodes) / half).clamp(-1, 1)
        return torch.where(t < 0, (1 + t) ** 2 / 2, 1 - (1 - t) ** 2 / 2).diff(dim=0)
