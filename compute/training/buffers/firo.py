from __future__ import annotations

from typing import Literal

import numpy as np

from ritz.compute.training.buffers.buffer import OneRead, Pace


class FIRO(OneRead):
    """First in, random out: a batch is drawn at random without replacement, and leaves; every sample once.

    ``watermark`` samples are held back until reception is over, so that there is something to choose from; then the
    rest goes, also in random order.

    The bias: a draw is uniform over what is held, so a sample stays for ``watermark`` further arrivals on average,
    with an exponential tail, and a batch mixes what came within about that many. What is sorted over longer stretches
    of the stream is still sorted in the batches. Nothing is repeated. A full buffer makes the producers wait.
    """

    kind: Literal["firo"] = "firo"

    def _choose(self, count: int, n: int, rng: np.random.Generator) -> np.ndarray:
        chosen: np.ndarray = rng.choice(count, n, replace=False)
        return chosen

    def _held_back(self, pace: Pace) -> int:
        return pace.watermark
