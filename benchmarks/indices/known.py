"""Functions with known indices, with models of them that are close and wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from ritz.compute.uncertainty.sensitivity.sobol import Function, Indices


@dataclass(frozen=True)
class Known:
    """A function of coordinates in (0, 1) with known indices, a model of it that is close, and one that is wrong."""

    name: str
    function: Function
    first: np.ndarray
    total: np.ndarray
    close: Function
    wrong: Function

    def error(self, found: Indices) -> float:
        """Return the largest error of an index."""
        pairs = ((found.first, self.first), (found.total, self.total))
        return max(float(np.abs(one.value[0] - true).max()) for one, true in pairs)

    def inside(self, found: Indices) -> np.ndarray:
        """Return which intervals hold, first-order before total."""
        return inside(found, self.first, self.total)


def inside(found: Indices, first: np.ndarray, total: np.ndarray, row: int = 0) -> np.ndarray:
    pairs = ((found.first, first), (found.total, total))
    return np.concatenate([(one.low[row] <= true + 1e-12) & (true <= one.high[row]) for one, true in pairs])


def width(found: Indices, row: int = 0) -> float:
    """Return the mean width of the intervals."""
    return float(np.mean([one.high[row] - one.low[row] for one in (found.first, found.total)]))


def ishigami() -> Known:
    def of(a: float, b: float, c: float) -> Function:
        def function(points: np.ndarray) -> np.ndarray:
            x, y, z = (np.pi * (2 * points[:, :3] - 1)).T
            return np.asarray(a + np.sin(x) + b * np.sin(y) ** 2 + c * z**4 * np.sin(x))[:, None]

        return function

    one, two, both = 0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2, 49 / 8, 0.01 * np.pi**8 * (1 / 18 - 1 / 50)
    first, total = np.array([one, two, 0]), np.array([one + both, two, both])
    variance = one + two + both
    return Known("Ishigami", of(0, 7, 0.1), first / variance, total / variance, of(0, 6.8, 0.095), of(20, 4, 0))


def products() -> Known:
    def of(weights: np.ndarray) -> Function:
        return lambda points: np.prod((np.abs(4 * points - 2) + weights) / (1 + weights), axis=1)[:, None]

    weights = np.array([0, 1, 4.5, 9, 99, 99])
    parts = 1 / 3 / (1 + weights) ** 2
    variance = np.prod(1 + parts) - 1
    total = parts * np.prod(1 + parts) / (1 + parts) / variance
    return Known("g of Sobol'", of(weights), parts / variance, total, of(weights + 0.1), of(weights[::-1]))


def normal() -> Known:
    def of(weights: np.ndarray, square: float) -> Function:
        def function(points: np.ndarray) -> np.ndarray:
            x = scipy.special.ndtri(points)
            return np.asarray(x @ weights + square * x[:, 0] ** 2)[:, None]

        return function

    weights = np.array([4, 2, 1, 0.5, 0.1])
    shares = weights**2 / np.sum(weights**2)
    return Known("linear, normal", of(weights, 0), shares, shares, of(weights, 0.2), of(weights[::-1], 1))


def lognormal() -> Known:
    def of(weights: np.ndarray) -> Function:
        return lambda points: np.exp(scipy.special.ndtri(points) @ weights)[:, None]

    weights = np.array([0.8, 0.5, 0.3, 0.1])
    variance = np.exp(np.sum(weights**2)) - 1
    first = (np.exp(weights**2) - 1) / variance
    total = first * np.exp(np.sum(weights**2) - weights**2)
    return Known("product, log-normal", of(weights), first, total, of(0.95 * weights), of(weights[::-1]))


KNOWN = (ishigami(), products(), normal(), lognormal())
