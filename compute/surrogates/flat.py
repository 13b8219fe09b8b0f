from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch

from compute.surrogates.surrogate import Grid


class Flat(torch.nn.Module):
    """Linear layers with GELU between them, from all values of the inputs to all values of the outputs.

    Parameters
    ----------
    outputs
        Output channels.
    grid
        The only grid it works on.
    hidden
        Values in each hidden layer.
    """

    def __init__(self, outputs: int, grid: Grid, hidden: Sequence[int]) -> None:
        super().__init__()
        self.grid, self.outputs = grid, outputs
        # A channel that repeats its values along an axis gives the first of them: the others say nothing new.
        self._parts = [
            (..., channel, *(slice(None) if along else 0 for along in varies))
            for channel, varies in enumerate(grid.varies)
        ]
        inputs = sum(
            math.prod(n for n, along in zip(grid.shape, varies, strict=True) if along) for varies in grid.varies
        )
        sizes = [inputs, *hidden, outputs * math.prod(grid.shape)]
        self.layers = torch.nn.ModuleList(torch.nn.Linear(before, after) for before, after in pairwise(sizes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, outputs, *space)`` for ``x`` ``(batch, inputs, *space)``.

        Raises
        ------
        ValueError
            If ``x`` lies on another grid.
        """
        space = tuple(x.shape[2:])
        if space != self.grid.shape:
            raise ValueError(
                f"the fields lie on a grid of {space} points; a fully connected network works on the grid of its "
                f"training alone, {self.grid.shape}"
            )
        x = torch.cat([x[part].reshape(len(x), -1) for part in self._parts], dim=1)
        for layer in self.layers[:-1]:
            x = torch.nn.functional.gelu(layer(x))
        return self.layers[-1](x).reshape(len(x), self.outputs, *space)
