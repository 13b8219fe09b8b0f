"""How the samples that a trainer sees are spread, beside the whole set: what order and buffer do to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

QUARTERS = 4


def scores(features: np.ndarray) -> np.ndarray:
    """Return the first principal component of features, as standard scores.

    Parameters
    ----------
    features
        ``(n, d)``, at least one sample. Each is divided by its standard deviation first; what does not vary is left
        out.

    Returns
    -------
    scores
        ``(n,)`` float64 of mean 0 and standard deviation 1, all 0 where nothing varies. The largest weight is positive.
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    deviation = centred.std(axis=0)
    varying = deviation > 1e-12 * max(1.0, float(deviation.max(initial=0.0)))
    if not varying.any():
        return np.zeros(len(features))
    standard = centred[:, varying] / deviation[varying]
    _, vectors = np.linalg.eigh(standard.T @ standard)
    axis = vectors[:, -1]
    found: np.ndarray = standard @ (axis * np.sign(axis[np.abs(axis).argmax()]))
    values: np.ndarray = found / found.std()
    return values


def quarters(values: np.ndarray) -> list[np.ndarray]:
    """Cut values in the order in which they came into four parts of nearly equal length, without empty ones."""
    return [part for part in np.array_split(values, QUARTERS) if len(part)]


def differences(values: np.ndarray) -> list[float]:
    """Return the mean of each quarter of standard scores: how far it is from the whole set, in its deviations."""
    return [float(part.mean()) for part in quarters(values)]


def largest(values: np.ndarray) -> float:
    """Return the largest of the `differences`, without its sign."""
    return max((abs(one) for one in differences(values)), default=0.0)


def by_chance(shards: Sequence[np.ndarray], draws: int = 400, share: float = 0.95) -> float:
    """Return what `largest` is below in a share of random orders of the shards, each of them kept together.

    Parameters
    ----------
    shards
        Standard scores of the samples of each shard.
    """
    if not len(shards):
        return 0.0
    rng = np.random.default_rng(0)
    found = [largest(np.concatenate([shards[one] for one in rng.permutation(len(shards))])) for _ in range(draws)]
    return float(np.quantile(found, share))
