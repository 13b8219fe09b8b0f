from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch

from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.networks.buffers import Buffers
from ritz.compute.surrogates.networks.flat import Values


class Regression(Buffers):
    """A polynomial of the inputs' principal components, in those of the outputs; float64 inside.

    Parameters
    ----------
    grid
        The only grid it works on.
    degree
        1 for a linear, 2 for a quadratic map.
    buffers
        ``input_mean`` and ``input_components`` of the input values, each once, times the root of how often a channel
        repeats it (`Normalisation.rows`); ``coefficients`` and ``intercept``; ``output_components``, ``output_mean``.
    """

    names: ClassVar[tuple[str, ...]] = (
        *("input_mean", "input_components", "coefficients", "intercept"),
        *("output_components", "output_mean"),
    )

    input_mean: torch.Tensor
    input_components: torch.Tensor
    coefficients: torch.Tensor
    intercept: torch.Tensor
    output_components: torch.Tensor
    output_mean: torch.Tensor

    def __init__(self, grid: Grid, degree: int, buffers: Mapping[str, torch.Tensor]) -> None:
        super().__init__(buffers)
        self.degree, self.values = degree, Values(grid)
        weights = []
        for varies in grid.varies:
            there = math.prod(n for n, along in zip(grid.shape, varies, strict=True) if along)
            weights.append(torch.full((there,), math.sqrt(math.prod(grid.shape) / there), dtype=torch.float64))
        # Follows from the grid, so it is no part of the state.
        self.register_buffer("weights", torch.cat(weights), persistent=False)
        self.weights: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(n, outputs, *space)`` float32 for ``x`` ``(n, inputs, *space)``; see `Values.forward`."""
        rows = self.weights * self.values(x).double()
        scores = (rows - self.input_mean) @ self.input_components.T
        if self.degree == 2:
            first, second = torch.triu_indices(scores.shape[1], scores.shape[1], device=x.device)
            scores = torch.cat([scores, scores[:, first] * scores[:, second]], dim=1)
        targets = scores @ self.coefficients.T + self.intercept
        answer = targets @ self.output_components + self.output_mean
        fields: torch.Tensor = answer.float().reshape(len(x), -1, *x.shape[2:])
        return fields
