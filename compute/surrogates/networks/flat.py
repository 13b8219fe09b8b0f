from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch

from ritz.compute.surrogates.grid import Grid


class Values(torch.nn.Module):
    """Lines up the values of the inputs, each once.

    Attributes
    ----------
    count
        How many there are.
    """

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        # A channel that repeats its values along an axis gives the first of them: the others say nothing new.
        self._parts = [
            (..., channel, *(slice(None) if along else 0 for along in varies))
            for channel, varies in enumerate(grid.varies)
        ]
        self.count = sum(
            math.prod(n for n, along in zip(grid.shape, varies, strict=True) if along) for varies in grid.varies
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, count)`` for ``x`` ``(batch, inputs, *space)``.

        Raises
        ------
        ValueError
            If ``x`` lies on another grid.
        """
        space = tuple(x.shape[2:])
        if space != self.grid.shape:
            raise ValueError(
                f"the fields lie on a grid of {space} points; this network works on the grid of its training alone, "
                f"{self.grid.shape}"
            )
        return torch.cat([x[part].reshape(len(x), -1) for part in self._parts], dim=1)


class Perceptron(torch.nn.Module):
    """Linear layers with GELU between them, ``(..., sizes[0])`` to ``(..., sizes[-1])``."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(before, after) for before, after in pairwise(sizes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply all layers."""
        for layer in self.layers[:-1]:
            x = torch.nn.functional.gelu(layer(x))
        answer: torch.Tensor = self.layers[-1](x)
        return answer


class Flat(torch.nn.Module):
    """A perceptron from all values of the inputs to all values of the outputs.

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
        self.outputs, self.values = outputs, Values(grid)
        self.perceptron = Perceptron([self.values.count, *hidden, outputs * math.prod(grid.shape)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, outputs, *space)`` for ``x`` ``(batch, inputs, *space)``; see `Values.forward`."""
        answer: torch.Tensor = self.perceptron(self.values(x)).reshape(len(x), self.outputs, *x.shape[2:])
        return answer
