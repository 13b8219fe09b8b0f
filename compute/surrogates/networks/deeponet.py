from __future__ import annotations

import math

import torch

from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.networks.coordinates import centres
from ritz.compute.surrogates.networks.flat import Perceptron, Values


class DeepONet(torch.nn.Module):
    """Coefficients from the inputs (branch) times functions of the coordinates (trunk), summed; one bias an output.

    Parameters
    ----------
    outputs
        Output channels; each has functions of its own.
    grid
        The only grid whose values the branch takes.
    width, layers
        Hidden layers of branch and trunk.
    basis
        Functions an output.
    """

    def __init__(self, outputs: int, grid: Grid, width: int, layers: int, basis: int) -> None:
        super().__init__()
        self.outputs, self.basis = outputs, basis
        self.values = Values(grid)
        hidden = [width] * layers
        self.branch = Perceptron([self.values.count, *hidden, outputs * basis])
        self.trunk = Perceptron([len(grid.shape), *hidden, outputs * basis])
        self.bias = torch.nn.Parameter(torch.zeros(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, outputs, *space)`` for ``x`` ``(batch, inputs, *space)``; see `Values.forward`."""
        coefficients = self.branch(self.values(x)).reshape(-1, self.outputs, self.basis)
        points = centres(x.shape[2:], x).flatten(1).T
        functions = self.trunk(points).reshape(-1, self.outputs, self.basis)
        # A sum of that many terms of unit size has unit size.
        sums = torch.einsum("nob,pob->nop", coefficients, functions) / math.sqrt(self.basis)
        return (sums + self.bias[:, None]).reshape(len(x), self.outputs, *x.shape[2:])
