from __future__ import annotations

import numpy as np


def dispatch(seed: int, shards: int) -> np.ndarray:
    """Return the numbers of ``shards`` shards in the random order in which they are solved and learnt from."""
    return np.random.default_rng([seed, shards]).permutation(shards)


def owners(seed: int, shards: int, ranks: int) -> np.ndarray:
    """Return which rank learns from each shard, ``(shards,)``: they take turns in the order of dispatch."""
    ranked = np.empty(shards, np.int64)
    ranked[dispatch(seed, shards)] = np.arange(shards) % ranks
    return ranked
