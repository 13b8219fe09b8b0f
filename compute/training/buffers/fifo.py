from __future__ import annotations

from typing import Literal

import numpy as np

from ritz.compute.training.buffers.buffer import OneRead


class FIFO(OneRead):
    """First in, first out: batches in the order of arrival, every sample once.

    The bias: a batch is as alike as what arrives together. The samples of a shard are neighbours in the space of
    parameters, so a gradient looks at one corner at a time, and the network remembers best what came last. Nothing is
    repeated: what a sample teaches in one step is all that is learnt from it. A full buffer makes the producers wait.
    """

    kind: Literal["fifo"] = "fifo"

    def _choose(self, count: int, n: int, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG002
        return np.arange(n)
