from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.epochs import Epochs

if TYPE_CHECKING:
    import xarray as xr

Arrivals = Callable[[frozenset[int]], Iterator[Block]]
"""Given the shards that are already learnt from, yields the blocks of the others as they come."""


@dataclass(frozen=True)
class Reading:
    """How a fixed set of samples is gone through.

    Attributes
    ----------
    seed
        Draws the orders of the epochs.
    memory
        MiB that the training samples may take to be kept in memory; of more, shards are read anew in every epoch.
    window
        Shards that are mixed where samples are not kept in memory.
    validation
        Samples to validate on that will be asked for.
    """

    seed: int
    memory: int
    window: int
    validation: int


class Supply(Protocol):
    """Where the samples of a training come from; each kind of training asks for what it learns from.

    Attributes
    ----------
    template
        Names and describes the variables; see `Problem.template`. Its attribute ``symmetries`` is used by ``augment``.
    samples
        Training samples that will arrive in all, at all ranks; fixes the number of steps of a training on arrivals.
    """

    @property
    def template(self) -> xr.Dataset:
        """Variables and coordinates."""

    @property
    def samples(self) -> int:
        """Training samples that will arrive."""

    def arrivals(self, received: frozenset[int]) -> Iterator[Block]:
        """Yield blocks as they come, with several ranks those of this one, but for shards that were received.

        Samples of the splits train and validate are used, all others ignored; repeated shards are dropped.
        """

    def epochs(self, reading: Reading) -> Epochs:
        """Return the samples as a fixed set."""

    def refill(self, ids: np.ndarray) -> Block:
        """Return the samples with the given ids ``(n,)`` again, in any order: a checkpoint holds ids alone."""


@dataclass(frozen=True)
class Given:
    """A `Supply` of what is at hand: a stream, a fixed set, or both.

    Attributes
    ----------
    template, refill
        See `Supply`.
    stream, samples
        The blocks as they come, and how many training samples are among them.
    fixed
        The fixed set.
    """

    template: xr.Dataset
    refill: Callable[[np.ndarray], Block]
    stream: Arrivals | None = None
    samples: int = 0
    fixed: Epochs | None = None

    def arrivals(self, received: frozenset[int]) -> Iterator[Block]:
        """Yield the blocks; see `Supply.arrivals`."""
        if self.stream is None:
            raise ValueError("there is no stream of blocks here, only a fixed set of samples")
        return self.stream(received)

    def epochs(self, reading: Reading) -> Epochs:
        """Return the fixed set as it is; see `Supply.epochs`."""
        del reading
        if self.fixed is None:
            raise ValueError("there is no fixed set of samples here, only a stream of blocks")
        return self.fixed
