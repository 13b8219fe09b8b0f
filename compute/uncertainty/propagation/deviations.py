"""Standard deviations of quantities over a population, from the means of values and of their squares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ritz.compute.uncertainty.propagation.chain import Chain, Pilot
from ritz.compute.uncertainty.propagation.points import REPLICATES
from ritz.compute.uncertainty.propagation.telescope import Estimates, Telescope

FEWEST = 32
"""Points of a replicate to begin with: the intervals of far fewer squares hold too seldom."""


def of_moments(pilot: Pilot) -> tuple[Pilot, dict[str, np.ndarray]]:
    """Return a pilot of the columns that a chain of deviations has, and the centres by rung; see `moments`."""
    centres = {name: np.asarray(values.mean(axis=0)) for name, values in pilot.values.items()}
    columns = {name: moments(values, centres[name]) for name, values in pilot.values.items()}
    return replace(pilot, values=columns, dear={}), centres


def moments(values: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return quantities ``(n, q)`` less a centre ``(q,)``, and beside them the squares of that: ``(n, 2 q)``."""
    shifted = values - centre
    return np.concatenate([shifted, shifted**2], axis=1)


def errors(half_widths: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Return about how precise means of the columns are to be for half widths of the deviations, ``(2 q,)``.

    The variance is the mean square but for the mean of values less their centre, which is about 0.

    Parameters
    ----------
    half_widths
        ``(q,)``, to reach.
    deviations
        ``(q,)``, about the standard deviations.
    """
    of_variance = np.maximum(2 * deviations * half_widths, half_widths**2)
    return np.concatenate([np.full_like(of_variance, np.inf), of_variance])


class Deviations(Telescope):
    """Estimates standard deviations by a chain over the `moments` of quantities.

    The variance is M₂ − M₁², with the telescoping sums M₁ and M₂ of the means of values less a centre and of their
    squares. Its error comes from a jackknife over the replicates of every term: each is left out once, and the
    logarithm of the variance is taken anew (R. G. Miller, "The jackknife – a review", Biometrika 61, 1974, which has
    the logarithm for variances). Of a law with tails that few samples do not show the intervals are too narrow, as all
    are that come from these samples.

    Parameters
    ----------
    chain, shifts, seed, level
        As of a `Telescope`, with a column for every quantity and then one for every square.
    centres
        ``(q,)`` by rung.
    deviations
        ``(q,)``, about the standard deviations, as the pilot says.
    """

    def __init__(
        self,
        chain: Chain,
        shifts: np.ndarray,
        centres: Mapping[str, np.ndarray],
        deviations: np.ndarray,
        seed: int,
        level: float,
    ) -> None:
        # The squares of quasi-random points are skewed by the few that lie far out: random samples tell how much.
        super().__init__(chain, shifts, seed, 0, level)
        self._centres, self._deviations = centres, deviations

    def first(self, target: np.ndarray | None) -> list[int]:
        """Return how many points of each replicate to begin with: `FEWEST` or more; see `Telescope.first`."""
        columns = None if target is None else errors(target, self._deviations)
        return [max(FEWEST, count) for count in super().first(columns)]

    def estimates(self) -> Estimates:
        """Return what is known so far."""
        parts = self._parts()
        variance, left_out = _variances(parts)
        quantile = self._quantile(REPLICATES - 1)
        value = np.sqrt(np.maximum(variance, 0.0))
        # Where the difference of two rungs leaves no variance, only an upper end is known.
        low, high = np.zeros_like(value), np.sqrt(value**2 + quantile * np.sqrt(_errors(parts).sum(axis=0)))
        known = (variance > 0) & np.all(left_out > 0, axis=(0, 1))
        logs = np.log(left_out[..., known])
        reach = quantile * np.sqrt((REPLICATES - 1) * logs.var(axis=1).sum(axis=0))
        low[known], high[known] = value[known] * np.exp(-reach / 2), value[known] * np.exp(reach / 2)
        return self._estimates(value, low, high)

    def _columns(self, rung: str, values: np.ndarray) -> np.ndarray:
        return moments(values, self._centres[rung])

    def _variances(self) -> np.ndarray:
        """Return the squared standard errors of the deviations by term, ``(rungs, q)``, to first order."""
        parts = self._parts()
        variance, _ = _variances(parts)
        return _errors(parts) / np.where(variance > 0, 4 * variance, 1.0)

    def _parts(self) -> np.ndarray:
        """Return the means of each term and replicate with their weights, ``(rungs, replicates, 2 q)``."""
        means = np.stack([sums.replicate_means() for sums in self.sums])
        return np.asarray(means * self.chain.weights().T[:, None, :])


def _variances(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the variances ``(q,)``, and those without a replicate of a term, ``(rungs, replicates, q)``.

    Parameters
    ----------
    parts
        Means of values and squares of each term and replicate, ``(rungs, replicates, 2 q)``.
    """
    count = parts.shape[1]
    means = parts.mean(axis=1, keepdims=True)
    away = parts - means
    value, square = np.split(means.sum(axis=(0, 1)), 2)
    fewer_value, fewer_square = np.split(means.sum(axis=0) - away / (count - 1), 2, axis=2)
    # The square of an estimated mean is too large by the mean's own variance.
    squared = np.split(away**2, 2, axis=2)[0]
    sums = squared.sum(axis=1, keepdims=True)
    noise = sums / (count - 1) / count
    fewer = (sums - squared * count / (count - 1)) / (count - 2) / (count - 1)
    whole = noise.sum(axis=(0, 1))
    return square - value**2 + whole, fewer_square - fewer_value**2 + whole - noise + fewer


def _errors(parts: np.ndarray) -> np.ndarray:
    """Return the squared standard errors of the variances by term, ``(rungs, q)``, to first order."""
    values, squares = np.split(parts, 2, axis=2)
    mean = values.mean(axis=1).sum(axis=0)
    return np.asarray((squares - 2 * mean * values).var(axis=1, ddof=1) / parts.shape[1])
