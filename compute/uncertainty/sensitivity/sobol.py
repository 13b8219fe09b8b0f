from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Fault, Kind, Source, in_units
from ritz.compute.uncertainty.sensitivity.design import contributions, digital_nets, latin_hypercube, picked
from ritz.compute.uncertainty.sensitivity.ratio import Estimates, Means, ratios

Function = Callable[[np.ndarray], np.ndarray]
"""Takes points ``(n, d)`` in (0, 1), and returns quantities ``(n, q)``."""

LEAST = 32
"""Fewest base points with dear values: intervals of fewer hold less often than they say."""


@dataclass(frozen=True)
class Indices:
    """Sobol' indices of quantities.

    Attributes
    ----------
    first
        Sᵢ, the share of the variance that is explained by a coordinate alone.
    total
        Tᵢ, the share that is left when all the others are known.
    """

    first: Estimates
    total: Estimates


@dataclass(frozen=True)
class CorrectedIndices:
    """Sobol' indices of a dear function by a cheap one, set right.

    Attributes
    ----------
    indices
        Of the dear function.
    cheap
        Of the cheap function. Their intervals say how far its own indices may be off by sampling, and nothing of its
        errors.
    bias
        The corrected indices less those of the cheap function. Its intervals are those of the dear evaluations alone:
        sampling errors of the cheap ones are common to both. They allow indices between 0 and 1 only, so an estimate
        that leads beyond lies beside its interval.
    """

    indices: Indices
    cheap: Indices
    bias: Indices


class SobolIndices(Kind):
    """First-order and total Sobol' indices of quantities in independent coordinates, with intervals.

    Saltelli's design takes d + 2 evaluations per base point for both sorts of indices in d coordinates. First-order
    indices are estimated by Saltelli's formula, total ones by Jansen's. Base points are Sobol' points; the intervals
    come from independent replicates of them. Of one replicate the intervals take its points as independent, which
    makes them far too wide for smooth functions; its estimates are better than those of as many points in several
    replicates.

    Where the function is a cheap model of a dear one, `corrected` adds the mean difference of both at a few base points
    of their own to the means that the indices are ratios of. That leaves no bias, and its intervals hold for a bad
    model too, which makes them wide. A coefficient of the control variate is not fitted: on few base points a fitted
    one costs more than it gains. Where the differences have heavy tails the intervals hold less often than they say,
    as all intervals by Student's distribution do.

    The coordinates of a problem's draws are in `ritz.compute.uncertainty.sensitivity.coordinates`.

    Examples
    --------
    >>> import numpy as np
    >>> rule = SobolIndices(points=256)
    >>> found = rule.analyse(lambda x: (3 * x[:, 0] + 4 * x[:, 1])[:, None], dimensions=2, seed=0)
    >>> found.first.value.round(2), bool(found.total.high[0, 0] >= 9 / 25)
    (array([[0.36, 0.64]]), True)
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Saltelli et al.",
            "Variance based sensitivity analysis of model output. Design and estimator for the total sensitivity index",
            2010,
            "Computer Physics Communications 181",
            "of the estimators compared, these converge the fastest at the same number of evaluations",
            "sensitivity.txt",
        ),
        Source(
            "Jansen",
            "Analysis of variance designs for model output",
            1999,
            "Computer Physics Communications 117",
        ),
    )

    kind: Literal["sobol"] = "sobol"
    points: int = Field(default=512, ge=8, json_schema_extra=in_units("base points per replicate"))
    """Base points of a replicate, a power of two."""
    replicates: int = Field(default=8, ge=1, json_schema_extra=in_units("replicates"))
    """Independent repetitions, from which the intervals come."""
    level: float = Field(default=0.95, gt=0, lt=1, json_schema_extra=in_units("share of intervals"))
    """Confidence of each interval by itself."""

    def faults(self) -> Iterator[Fault]:
        """Refuse a number of points that is no power of two; see `Kind.faults`."""
        if self.points & (self.points - 1):
            yield Fault(
                ("points",),
                f"points is {self.points}, expected a power of two: other numbers of Sobol' points are uneven",
            )

    def analyse(self, function: Function, dimensions: int, seed: int) -> Indices:
        """Return the indices of a function; see `design` and `indices` for values that come from elsewhere."""
        return self.indices(function(self.design(dimensions, seed)))

    def analyse_corrected(
        self, cheap: Function, dear: Function, dimensions: int, seed: int, solves: int = LEAST
    ) -> CorrectedIndices:
        """Return the indices of a dear function by a cheap one and by ``solves`` base points of both.

        The dear function is evaluated ``solves (dimensions + 2)`` times.
        """
        few = self.check_points(dimensions, seed, solves)
        return self.corrected(cheap(self.design(dimensions, seed)), cheap(few), dear(few))

    def design(self, dimensions: int, seed: int) -> np.ndarray:
        """Return the points at which a function is to be evaluated.

        Returns
        -------
        numpy.ndarray
            ``(replicates × points × (d + 2), d)`` float64 in (0, 1), the same for the same seed.
        """
        _counted("dimensions", dimensions, 1)
        nets = digital_nets(2 * dimensions, self.points, self.replicates, np.random.default_rng(seed))
        return picked(nets.reshape(-1, 2 * dimensions))

    def check_points(self, dimensions: int, seed: int, solves: int) -> np.ndarray:
        """Return points for both the cheap and the dear function: a Latin hypercube, with none of those of `design`.

        A Latin hypercube hardly ever has means that vary more than those of independent points, as which the intervals
        take them. So few Sobol' points with a shift have: their coverage falls to two thirds for some functions.

        Parameters
        ----------
        solves
            Base points, `LEAST` or more.

        Returns
        -------
        numpy.ndarray
            ``(solves × (d + 2), d)`` float64 in (0, 1), the same for the same seed and number.
        """
        _counted("dimensions", dimensions, 1)
        _counted("solves", solves, LEAST)
        numbers = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
        return picked(latin_hypercube(2 * dimensions, solves, numbers))

    def indices(self, values: np.ndarray) -> Indices:
        """Return the indices of the values at the points of `design`.

        Parameters
        ----------
        values
            ``(replicates × points × (d + 2), q)``.

        Raises
        ------
        ValueError
            The shape is another, a value is not finite, or a quantity is the same at all points.
        """
        first, total = self._means(values)
        return Indices(ratios([first], self.level), ratios([total], self.level))

    def corrected(self, values: np.ndarray, cheap: np.ndarray, dear: np.ndarray) -> CorrectedIndices:
        """Return the indices of a dear function by the values of a cheap one.

        Parameters
        ----------
        values
            Of the cheap function, at the points of `design`.
        cheap, dear
            ``(n × (d + 2), q)``, values of both functions at the points of `check_points`.

        Raises
        ------
        ValueError
            As for `indices`, or there are fewer than `LEAST` base points with dear values.
        """
        sampled = self._means(values)
        width, quantities = len(values) // (self.points * self.replicates), values.shape[1]
        both = []
        for name, one in (("cheap", cheap), ("dear", dear)):
            if one.ndim != 2 or one.shape[1] != quantities or len(one) % width or len(one) < LEAST * width:
                raise ValueError(
                    f"{name} has shape {one.shape}, expected (n × {width}, {quantities}) of n ≥ {LEAST} base points"
                )
            both.append(_checked(name, one).reshape(-1, width, quantities))
        if both[0].shape != both[1].shape:
            raise ValueError(f"cheap has {len(cheap)} values and dear {len(dear)}, expected as many")
        found, own, bias = [], [], []
        for mean, less, more in zip(sampled, *(_alone(one) for one in both), strict=True):
            difference = Means.of(more[0] - less[0], more[1] - less[1])
            found.append(ratios([mean, difference], self.level))
            own.append(ratios([mean], self.level))
            seen, known = ratios([mean.certain(), difference], self.level), own[-1].value
            bias.append(Estimates(seen.value - known, seen.low - known, seen.high - known))
        return CorrectedIndices(Indices(*found), Indices(*own), Indices(*bias))

    def _means(self, values: np.ndarray) -> tuple[Means, Means]:
        """Return what the values at the points of the design say of V Sᵢ and V Tᵢ, over V."""
        base = self.points * self.replicates
        if values.ndim != 2 or not values.size or len(values) % base or len(values) // base < 3:
            raise ValueError(f"values has shape {values.shape}, expected ({base} × (d + 2), q) of d coordinates")
        found = _checked("values", values).reshape(base, len(values) // base, -1)
        ends = found[:, :2]
        centre = ends.mean(axis=(0, 1))
        for number, (spread, middle) in enumerate(zip(np.ptp(found, axis=(0, 1)), np.abs(centre), strict=True)):
            if spread <= 1e-12 * middle:
                raise ValueError(
                    f"quantity {number} is {centre[number]:g} at all points, expected one that varies: a constant has "
                    "no indices"
                )
        variance = np.mean((ends - centre) ** 2, axis=1)
        first, total = contributions(found, centre)
        # Of several replicates each is one observation: its points are not independent.
        units = (self.replicates, self.points) if self.replicates > 1 else (base, 1)
        parts = [one.reshape(*units, *one.shape[1:]).mean(axis=1) for one in (first, total, variance)]
        return Means.of(parts[0], parts[2]), Means.of(parts[1], parts[2])


def _alone(values: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return what each base point says of V Sᵢ and of V, and of V Tᵢ and of V, each without a bias.

    A cheap function may have another mean than the dear one. So the centre of a base point is the mean of the others,
    and its variance half the squared difference of its ends.
    """
    ends = values[:, :2].sum(axis=1)
    centre = (ends.sum(axis=0) - ends) / (2 * (len(values) - 1))
    variance = (values[:, 1] - values[:, 0]) ** 2 / 2
    first, total = contributions(values, centre)
    return (first, variance), (total, variance)


def _checked(name: str, values: np.ndarray) -> np.ndarray:
    lost = int(np.sum(~np.isfinite(values)))
    if lost:
        raise ValueError(f"{name} has {lost} of {values.size} values that are not finite, expected finite numbers")
    return np.asarray(values, np.float64)


def _counted(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} is {value}, expected {least} or more")
