from __future__ import annotations

import torch

from ritz.compute.surrogates.networks.convolution import convolution


class MgNO(torch.nn.Module):
    """Layers u ↦ σ(W u + B u + b) where W is a multigrid cycle and B pointwise, and a pointwise map at the end.

    Parameters
    ----------
    inputs, outputs
        Channels.
    axes
        Dimensions of space.
    width, layers
        Channels of the hidden fields and how many layers there are.
    levels
        Grids of a cycle.
    smoothings
        Smoothing steps on every grid but the coarsest, which has one more.
    """

    def __init__(
        self, inputs: int, outputs: int, axes: int, width: int, layers: int, levels: int, smoothings: int
    ) -> None:
        super().__init__()
        conv = convolution(axes)
        befores = [inputs, *(width,) * (layers - 1)]
        self.cycles = torch.nn.ModuleList(Cycle(before, width, axes, levels, smoothings) for before in befores)
        self.pointwise = torch.nn.ModuleList(conv(before, width, 1) for before in befores)
        self.projection = conv(width, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, outputs, *space)`` for ``x`` ``(batch, inputs, *space)``."""
        for cycle, pointwise in zip(self.cycles, self.pointwise, strict=True):
            x = torch.nn.functional.gelu(cycle(x) + pointwise(x))
        answer: torch.Tensor = self.projection(x)
        return answer


class Cycle(torch.nn.Module):
    """One multigrid cycle for A u = f with learnt operators: it maps f to its approximation of u, linearly.

    On every grid u, from zero, is smoothed by u ← u + S (f − A u); the residual is restricted by a convolution of
    stride 2, and the correction of the coarser grid is prolonged by a transposed one and added. All kernels have 3
    points along an axis, operators of all grids and all smoothing steps are learnt apart, and beyond the walls all is
    zero. A grid of n points is followed by one of n/2, rounded up, so any n will do.
    """

    def __init__(self, inputs: int, width: int, axes: int, levels: int, smoothings: int) -> None:
        super().__init__()
        conv = convolution(axes)
        transposed = (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d)[axes - 1]

        def kernel(before: int, after: int, stride: int = 1) -> torch.nn.Module:
            return conv(before, after, 3, stride=stride, padding=1, bias=False)

        counts = [smoothings] * (levels - 1) + [smoothings + 1]
        self.operators = torch.nn.ModuleList(kernel(width, inputs) for _ in range(levels))
        self.smoothers = torch.nn.ModuleList(
            torch.nn.ModuleList(kernel(inputs, width) for _ in range(count)) for count in counts
        )
        self.restrict = torch.nn.ModuleList(kernel(inputs, inputs, 2) for _ in range(levels - 1))
        self.prolong = torch.nn.ModuleList(
            transposed(width, width, 3, stride=2, padding=1, bias=False) for _ in range(levels - 1)
        )

    def forward(self, f: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, width, *space)`` for ``f`` ``(batch, inputs, *space)``."""
        found: list[torch.Tensor] = []
        for level, (operator, smoothers) in enumerate(zip(self.operators, self.smoothers, strict=True)):
            first, *others = smoothers.children()
            # From u = 0 the first step is S f alone.
            u = first(f)
            for smoother in others:
                u = u + smoother(f - operator(u))
            found.append(u)
            if level < len(self.restrict):
                f = self.restrict[level](f - operator(u))
        u = found.pop()
        for fine, prolong in zip(reversed(found), reversed(self.prolong), strict=True):
            u = fine + prolong(u, output_size=fine.shape[2:])
        answer: torch.Tensor = u
        return answer
