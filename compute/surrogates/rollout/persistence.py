from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ritz.compute.surrogates.fitted.fitted import Blocks, Fitted
from ritz.compute.surrogates.grid import Grid, StateChannels
from ritz.compute.surrogates.normalisation import Normalisation

if TYPE_CHECKING:
    import torch


class Persistence(Fitted):
    """The state at time zero, at all times: what a surrogate of a problem in time has to beat first.

    Nothing is learnt: its buffers say which input channel each output channel repeats, and in which units.
    """

    kind: Literal["persistence"] = "persistence"

    least: ClassVar[int] = 0

    def check(self, grid: Grid) -> None:
        """Refuse a steady problem; see `Surrogate.check`."""
        if grid.states is None:
            raise ValueError(
                f"the surrogate {self.kind!r} needs a problem in time whose outputs say which input is their state at "
                "time zero (their attribute initial_state); take 'mean'"
            )

    def learn(self, normalisation: Normalisation, blocks: Blocks) -> dict[str, np.ndarray]:
        """Return where the first states are, whatever the samples; see `Fitted.learn`.

        Raises
        ------
        ValueError
            If the problem is steady, or a state at time zero has another transform than its output.
        """
        del blocks
        self.check(Grid.of(normalisation.dimensions))
        states = StateChannels.of(normalisation.dimensions)
        assert states is not None
        factors, shifts = states.encoding(normalisation)
        begins = np.cumsum((0, *states.sizes))
        # All times of an output lie together, and the channels of each time in turn.
        order = [np.tile(np.arange(begin, end), len(states.times)) for begin, end in pairwise(begins)]
        places = np.concatenate(order)
        return {
            "channel": np.array(states.starts)[places],
            "factor": np.array(factors, np.float32)[places],
            "shift": np.array(shifts, np.float32)[places],
        }

    def module(self, normalisation: Normalisation, buffers: dict[str, torch.Tensor]) -> torch.nn.Module:
        """Return the map that repeats channels; see `Fitted.module`."""
        from ritz.compute.surrogates.networks.buffers import RepeatedChannels

        del normalisation
        return RepeatedChannels(buffers)
