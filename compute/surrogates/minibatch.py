from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.surrogates.normalisation import Normalisation

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Minibatch:
    """What a network's objective is given of one step.

    Attributes
    ----------
    normalisation
        Names the variables and their channels; `Normalisation.decode` gives physical units.
    x, y
        Normalised inputs and outputs ``(n, channel, *space)`` float32, on the device of the network.
    losses
        The recipe's losses of normalised output channels ``(n, channel, *space)``: their weighted sum, a scalar, in
        float32 whatever the network multiplies in.
    arithmetic
        The context in which the network is evaluated: the precision of the training.
    key
        Seed, number of the step, rank: what all random numbers come from.
    """

    normalisation: Normalisation
    x: torch.Tensor
    y: torch.Tensor
    losses: Callable[[torch.Tensor], torch.Tensor]
    arithmetic: Callable[[], AbstractContextManager[None]]
    key: tuple[int, int, int]

    def generator(self) -> torch.Generator:
        """Return a source of random numbers on the CPU that depends on `key` alone; every call begins anew."""
        import torch

        (seed,) = np.random.SeedSequence(self.key).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(seed >> np.uint64(1)))
