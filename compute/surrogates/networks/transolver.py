from __future__ import annotations

import torch

from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.networks.convolution import convolution
from ritz.compute.surrogates.networks.coordinates import Coordinates


class Transolver(torch.nn.Module):
    """Transformer that lets slices of the points attend to each other, not the points themselves.

    Parameters
    ----------
    inputs, outputs
        Channels.
    axes
        Dimensions of space.
    width, layers
        Features of a point and blocks.
    heads, slices
        Attention heads, and slices in each of them.
    mesh
        The mesh it is for, or None for grids. On a grid a point is told by its coordinates, and features are
        projected from 3 points along every axis. On a mesh it is told by features that are learnt for every node, and
        features are projected from the node's own.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        axes: int,
        width: int,
        layers: int,
        heads: int,
        slices: int,
        mesh: Grid | None = None,
    ) -> None:
        super().__init__()
        self.axes = axes
        self.coordinates = Coordinates() if mesh is None else torch.nn.Identity()
        self.nodes = None if mesh is None else torch.nn.Parameter(torch.randn(1, *mesh.shape, width))
        known = inputs + (axes if mesh is None else 0)
        self.lifting = torch.nn.Sequential(
            torch.nn.Linear(known, 2 * width), torch.nn.GELU(), torch.nn.Linear(2 * width, width)
        )
        self.blocks = torch.nn.ModuleList(
            Block(width, heads, slices, axes, 3 if mesh is None else 1) for _ in range(layers)
        )
        self.projection = torch.nn.Sequential(torch.nn.LayerNorm(width), torch.nn.Linear(width, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, outputs, *space)`` for ``x`` ``(batch, inputs, *space)``.

        Raises
        ------
        ValueError
            If ``x`` lies on another mesh than that of the training.
        """
        if self.nodes is not None and x.shape[2] != self.nodes.shape[1]:
            raise ValueError(
                f"the fields lie on {x.shape[2]} nodes; on a mesh a transolver works on that of its training alone, "
                f"{self.nodes.shape[1]} nodes"
            )
        space = x.shape[2:]
        x = self.lifting(self.coordinates(x).flatten(2).transpose(1, 2))
        if self.nodes is not None:
            x = x + self.nodes
        for block in self.blocks:
            x = block(x, space)
        answer: torch.Tensor = self.projection(x).transpose(1, 2).reshape(len(x), -1, *space)
        return answer


class Block(torch.nn.Module):
    """Attention of slices, then a perceptron at every point, each after a normalisation and beside the identity."""

    def __init__(self, width: int, heads: int, slices: int, axes: int, kernel: int) -> None:
        super().__init__()
        self.before, self.between = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.attention = PhysicsAttention(width, heads, slices, axes, kernel)
        self.perceptron = torch.nn.Sequential(
            torch.nn.Linear(width, 2 * width), torch.nn.GELU(), torch.nn.Linear(2 * width, width)
        )

    def forward(self, x: torch.Tensor, space: torch.Size) -> torch.Tensor:
        """Return ``(batch, points, width)`` for ``x`` of that shape, whose points lie on a grid ``space``."""
        x = x + self.attention(self.before(x), space)
        answer: torch.Tensor = x + self.perceptron(self.between(x))
        return answer


class PhysicsAttention(torch.nn.Module):
    """Every point belongs to all slices of its head by weights of sum one; slices attend, points get it back.

    A slice is the mean of its points by their weights, so neither their number nor their order matters.
    """

    def __init__(self, width: int, heads: int, slices: int, axes: int, kernel: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        # What a point gives and what says where it belongs, in one convolution.
        self.features = convolution(axes)(width, 2 * width, kernel, padding=kernel // 2)
        self.slices = torch.nn.Linear(self.size, slices)
        # What tells the slices apart must differ from the start.
        torch.nn.init.orthogonal_(self.slices.weight)
        self.temperature = torch.nn.Parameter(torch.full((heads, 1, 1), 0.5))
        self.asks, self.answers, self.says = (torch.nn.Linear(self.size, self.size, bias=False) for _ in range(3))
        self.mixing = torch.nn.Linear(width, width)

    def forward(self, x: torch.Tensor, space: torch.Size) -> torch.Tensor:
        """Return ``(batch, points, width)`` for ``x`` of that shape, whose points lie on a grid ``space``."""
        field = self.features(x.transpose(1, 2).reshape(len(x), -1, *space))
        features, places = field.reshape(len(x), 2, self.heads, self.size, -1).unbind(1)
        # The temperature divides the few weights of the projection instead of all it gives.
        cold = 1 / self.temperature.clamp(0.1, 5)
        logits = (cold * self.slices.weight) @ places + cold * self.slices.bias[:, None]
        shares = logits.softmax(dim=2)
        tokens = shares @ features.transpose(2, 3) / (shares.sum(dim=3)[..., None] + 1e-5)
        tokens = torch.nn.functional.scaled_dot_product_attention(
            self.asks(tokens), self.answers(tokens), self.says(tokens)
        )
        out = (tokens.transpose(2, 3) @ shares).flatten(1, 2)
        answer: torch.Tensor = self.mixing(out.transpose(1, 2))
        return answer
