from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.tuning.record import Tuning


class Learner(Sequential):
    """Learns from the systems of a sequence what the next sequence begins with.

    A carry lives as long as a shard, and shards are solved at random and in parallel. So what a sequence has learnt is
    in sums, which add up over shards in any order. They change what answering costs, never what a good answer is.
    """

    @abstractmethod
    def summary(self, carry: Any) -> dict[str, np.ndarray]:
        """Return what was learnt since a sequence began, as float64 sums by their names.

        Parameters
        ----------
        carry
            What the last `solve` of the sequence handed back, None if there was none.
        """

    @abstractmethod
    def informed(self, total: Mapping[str, np.ndarray], turn: int) -> Self:
        """Return a copy that begins its sequences with the sums of others.

        Parameters
        ----------
        total
            Sums of `summary` over sequences; empty where there are none.
        turn
            Number of the sequence, at least 0; one that begins with the same sums need not do the same.
        """

    @abstractmethod
    def tuning(self, total: Mapping[str, np.ndarray]) -> Tuning | None:
        """Return what is recorded of the sums over all sequences; None where no system was answered."""
