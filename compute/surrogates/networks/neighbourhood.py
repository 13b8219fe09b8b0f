from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch

from ritz.compute.surrogates.networks.convolution import convolution


class Neighbourhood(torch.nn.Module):
    """A perceptron at every point of space, of the values up to some points away.

    Parameters
    ----------
    inputs, outputs
        Channels.
    axes
        Dimensions of space.
    reach
        How many points away it sees along every axis.
    hidden
        Channels of each hidden layer.
    periodic
        Whether the field goes on from the other side beyond a wall; else its last values do.
    """

    def __init__(
        self, inputs: int, outputs: int, axes: int, reach: int, *, hidden: Sequence[int], periodic: bool
    ) -> None:
        super().__init__()
        conv, sizes = convolution(axes), (*hidden, outputs)
        self.sides, self.mode = [reach, reach] * axes, "circular" if periodic else "replicate"
        self.first = conv(inputs, sizes[0], 2 * reach + 1)
        self.following = torch.nn.ModuleList(conv(before, after, 1) for before, after in pairwise(sizes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, outputs, *space)`` for ``x`` ``(batch, inputs, *space)``."""
        x = self.first(torch.nn.functional.pad(x, self.sides, mode=self.mode))
        for layer in self.following:
            x = layer(torch.nn.functional.gelu(x))
        return x
