"""What is kept of samples to reckon from it what their intervals were worth: some hundred bytes of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ritz.compute.evaluation.measured import Measured
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.uncertainty.coverage import Coverage, Parts
from ritz.compute.uncertainty.predicted import Arrays, Predicted
from ritz.compute.uncertainty.ranking import Sizes
from ritz.compute.uncertainty.shares import Interval
from ritz.compute.uncertainty.zones import zones

MAP = 0.9
"""Coverage is mapped cell by cell at the level next to this one."""


def at_map(levels: Sequence[float]) -> int:
    """Return the place of the level at which coverage is mapped."""
    return min(range(len(levels)), key=lambda index: abs(levels[index] - MAP))


def look(
    test: Predicted,
    ends: Sequence[tuple[Arrays, Arrays]],
    levels: Sequence[float],
    dimensions: Dimensions | None = None,
    estimate: Mapping[str, np.ndarray] | None = None,
) -> Measured:
    """Look where the truth lies in the intervals of some samples.

    Parameters
    ----------
    ends
        Lower and upper ends by output, ``(n, *dims)``, at every level; at least one.
    dimensions
        Of all variables; None if they all have the axes of space and no others.
    estimate
        Estimated absolute errors by output, half the widths at the highest level by default.

    Returns
    -------
    Measured
        Rows ``OUTPUT|inside``, ``|width`` and ``|beyond`` ``(n, level)``; ``|moments`` ``(n, 2)``, the means of the
        truth and of its square; ``|zones`` ``(n, level, zone)`` and ``|steps`` ``(n, level, time)`` where there are
        any; and those of `Sizes`. Sums ``OUTPUT|cells`` ``(*dims)``: how often each value was inside at the level that
        is mapped.
    """
    rows: Arrays = {}
    sums: Arrays = {}
    mapped = at_map(levels)
    for name, truth in test.truth.items():
        ring, time = zones(name, truth.shape[1:], dimensions), _time(name, truth, dimensions)
        found: dict[str, list[np.ndarray]] = {}
        for index, (lower, upper) in enumerate(ends):
            low, high = lower[name].astype(np.float64), upper[name].astype(np.float64)
            inside = (low <= truth) & (truth <= high)
            beyond = np.maximum(np.maximum(low - truth, truth - high), 0)
            one = {"inside": _mean(inside), "width": means(high - low), "beyond": means(beyond)}
            if ring is not None:
                one["zones"] = np.stack([inside[:, ring == k].mean(axis=1) for k in range(ring.max() + 1)], axis=1)
            if time is not None:
                one["steps"] = _mean(np.moveaxis(inside, time, 1), 2)
            for key, values in one.items():
                found.setdefault(key, []).append(values)
            if index == mapped:
                sums[f"{name}|cells"] = inside.sum(axis=0, dtype=np.int64)
        rows |= {f"{name}|{key}": np.stack(values, axis=1) for key, values in found.items()}
        values = truth.reshape(len(truth), -1).astype(np.float64)
        rows[f"{name}|moments"] = np.stack([values.mean(axis=1), np.mean(values**2, axis=1)], axis=1)
    if estimate is None:
        lower, upper = ends[-1]
        estimate = {name: (upper[name].astype(np.float64) - lower[name]) / 2 for name in test.truth}
    errors = {name: test.error(name) for name in test.truth}
    return Measured(rows | Sizes.of(estimate, errors, test.places).rows(), sums)


def covered(
    measured: Measured,
    outputs: Sequence[str],
    levels: Sequence[float],
    expected: Sequence[Interval | None],
) -> tuple[Coverage, ...]:
    """Return what intervals were worth at every level, from what `look` kept of all samples; means over the outputs.

    More figures: ``interval_score``, the width and 2/(1 − level) times how far points outside are beyond the ends, in
    units of the output, small is good; ``width_over_sd``, the width over the standard deviation of the truth, left out
    where either has no number. Samples whose intervals have no bound are left out of widths.

    References
    ----------
    T. Gneiting, A. Raftery, "Strictly proper scoring rules, prediction, and estimation", J. Am. Stat. Assoc. 102
    (2007).
    """
    found = []
    for index, level in enumerate(levels):
        shares, widths = (
            np.stack([measured.rows[f"{name}|{key}"][:, index] for name in outputs]) for key in ("inside", "width")
        )
        beyond = [mean_over(measured.rows[f"{name}|beyond"][:, index]) for name in outputs]
        width = float(np.mean([mean_over(one) for one in widths]))
        relative = float(
            np.mean([mean_over(one) / _deviation(measured, name) for one, name in zip(widths, outputs, strict=True)])
        )
        parts = {
            key: [measured.rows[f"{name}|{key}"][:, index] for name in outputs if f"{name}|{key}" in measured.rows]
            for key in ("zones", "steps")
        }
        found.append(
            Coverage(
                level,
                shares.mean(axis=0),
                width,
                expected[index],
                more={
                    "interval_score": width + 2 / (1 - level) * float(np.mean(beyond)),
                    **({"width_over_sd": relative} if np.isfinite(relative) else {}),
                },
                parts=Parts(
                    difficulty=widths.mean(axis=0),
                    **{key: np.mean(ones, axis=0) if ones else None for key, ones in parts.items()},
                ),
            )
        )
    return tuple(found)


def _deviation(measured: Measured, name: str) -> float:
    """Return the standard deviation of the truth over all points of all samples, NaN where it is 0."""
    mean, square = measured.rows[f"{name}|moments"].mean(axis=0)
    return float(np.sqrt(max(square - mean**2, 0))) or float("nan")


def _time(name: str, truth: np.ndarray, dimensions: Dimensions | None) -> int | None:
    """Return the axis of time of an output ``(n, *dims)``, None where it has none."""
    dims = () if dimensions is None else dimensions.variables[name]
    return 1 + dims.index("time") if "time" in dims and truth.shape[1 + dims.index("time")] > 1 else None


def _mean(values: np.ndarray, kept: int = 1) -> np.ndarray:
    """Return the mean over all but the first axes, float64."""
    found: np.ndarray = values.reshape(*values.shape[:kept], -1).mean(axis=-1, dtype=np.float64)
    return found


def means(values: np.ndarray) -> np.ndarray:
    """Return the mean of the finite values of each sample, NaN where there is none."""
    flat = values.reshape(len(values), -1)
    finite = np.isfinite(flat)
    count = finite.sum(axis=1)
    total = np.where(finite, flat, 0).sum(axis=1)
    found: np.ndarray = np.divide(total, count, out=np.full(len(flat), np.nan), where=count > 0)
    return found


def mean_over(samples: np.ndarray) -> float:
    """Return the mean over the samples that have a number, NaN where none has."""
    known = samples[np.isfinite(samples)]
    return float(known.mean()) if known.size else float("nan")
