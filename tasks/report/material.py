from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.tasks.documents.evaluation import Rollout, TruthErrors, WorstSample
from ritz.tasks.report.arrivals import Stream
from ritz.tasks.report.covered import Covered
from ritz.tasks.report.recorded import Recorded

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Material:
    """What a report draws and a run record does not hold. Every part may be empty: it was not measured then.

    Attributes
    ----------
    sample_id
        ``(n,)`` ids of the samples that are shown, at most four.
    labels
        What each of them stands for, e.g. ``"median error"``; see `typical`.
    chosen_by
        By what they were chosen: their error, or their coverage.
    inputs, truth, prediction
        Their fields in physical units by variable name, ``(n, *dims)``.
    half_width, centre
        Half width of the band at ``level``, and around what it lies, by output name, ``(n, *dims)``; around the
        prediction where ``centre`` has nothing.
    bands_made
        How the bands were made, in a sentence or two.
    level
        Nominal coverage of that band.
    covered
        How often each value of a test sample was inside its band; None where that was not kept.
    dimensions
        What the dimensions of the variables mean. Without them the last axes of a field are those of
        ``coordinates``, in their order, and all of them are of space.
    coordinates
        Positions of the points, ``(m,)`` each, by name; of a mesh ``x`` and ``y`` of its nodes and, where they are
        known, the nodes of its triangles, ``triangle`` ``(t, 3)``.
    attrs
        Attributes of variables and coordinates, by name, as the template has them: ``units``, ``long_name``,
        ``transform`` (``"log"`` is drawn on a logarithmic scale).
    curve
        Records of the training: ``step``, ``loss``, ``validate`` (NaN where it was not measured), ``time``
        (seconds, `time.time`), ``received`` (training samples); see `columns`.
    arrivals
        When the trainer received each shard, seconds, `time.time`.
    relative_l2
        Relative L2 error of every test sample, ``(n_test,)``.
    unfit
        Metrics that are none for these fields, and why.
    worst
        The test samples with the largest errors, the worst first.
    truth_errors
        What errors the truth has itself; None where they were not measured.
    rollout
        How predictions fare over time; None of a problem that is not in time.
    ledger
        Ledger columns of the whole dataset: ``status``, ``reason``, ``residual``, ``iterations``, ``seconds``,
        ``solver``.
    stream
        Which samples came when, and which made the steps; None where the features of the problem are not known.
    """

    sample_id: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    labels: tuple[str, ...] = ()
    chosen_by: str = "error"
    inputs: Arrays = field(default_factory=dict)
    truth: Arrays = field(default_factory=dict)
    prediction: Arrays = field(default_factory=dict)
    half_width: Arrays = field(default_factory=dict)
    centre: Arrays = field(default_factory=dict)
    bands_made: str = ""
    level: float = 0.9
    covered: Covered | None = None
    dimensions: Dimensions | None = None
    coordinates: Arrays = field(default_factory=dict)
    attrs: dict[str, dict[str, str]] = field(default_factory=dict)
    curve: Arrays = field(default_factory=dict)
    arrivals: np.ndarray = field(default_factory=lambda: np.empty(0))
    relative_l2: np.ndarray = field(default_factory=lambda: np.empty(0))
    unfit: Mapping[str, str] = field(default_factory=dict)
    worst: tuple[WorstSample, ...] = ()
    truth_errors: TruthErrors | None = None
    rollout: Rollout | None = None
    ledger: Arrays = field(default_factory=dict)
    stream: Stream | None = None

    def dims(self, name: str, axes: int) -> tuple[str, ...]:
        """Return the dimensions of a variable after the sample."""
        if self.dimensions is not None:
            return self.dimensions.variables[name]
        known = tuple(self.coordinates)
        return known[len(known) - axes :] if len(known) >= axes else tuple(f"axis {axis}" for axis in range(axes))

    def is_space(self, dim: str) -> bool:
        """Return whether a dimension is one of space."""
        return self.dimensions is None or dim in self.dimensions.space

    def is_time(self, dim: str) -> bool:
        """Return whether a dimension is time."""
        return dim == "time" or self.attrs.get(dim, {}).get("axis") == "T"

    def times(self, steps: int) -> tuple[np.ndarray, str]:
        """Return the times of so many steps, and what an axis of them is called; their numbers where none are known."""
        for dim, values in self.coordinates.items():
            if self.is_time(dim) and np.shape(values) == (steps,) and np.asarray(values).dtype.kind in "iuf":
                return np.asarray(values, float), dim + (f" ({self.unit(dim)})" if self.unit(dim) else "")
        return np.arange(1.0, steps + 1), "step"

    def label(self, name: str) -> str:
        """Return the long name of a variable with its symbol, e.g. ``"pressure u"``."""
        long_name = self.attrs.get(name, {}).get("long_name", "")
        return f"{long_name} {name}" if long_name else name

    def unit(self, name: str) -> str:
        """Return the unit of a variable or coordinate, empty where it is dimensionless or unknown."""
        unit = self.attrs.get(name, {}).get("units", "")
        return "" if unit == "1" else unit

    def common_unit(self) -> str:
        """Return the unit of all outputs, empty where they have several."""
        units = {self.unit(name) for name in self.truth}
        return units.pop() if len(units) == 1 else ""


@dataclass(frozen=True)
class RunFacts:
    """What the page of a run is about; its parts are the attributes of both."""

    recorded: Recorded
    material: Material

    def part(self, name: str) -> Any:
        """Return a part of the record or of the material."""
        return getattr(self.recorded if hasattr(self.recorded, name) else self.material, name)


def columns(rows: Iterable[Mapping[str, float | None]]) -> Arrays:
    """Turn rows with the same keys into float64 columns; None becomes NaN.

    Examples
    --------
    >>> columns([{"step": 1, "validate": None}, {"step": 2, "validate": 0.5}])["validate"].tolist()
    [nan, 0.5]
    """
    listed = list(rows)
    names = list(listed[0]) if listed else []
    return {name: np.array([np.nan if row[name] is None else row[name] for row in listed], float) for name in names}


def typical(relative_l2: np.ndarray) -> dict[str, int]:
    """Choose the samples a report shows: label → position of a small, the median, a large and the worst error.

    Fewer where there are fewer samples. Errors that are NaN are left out.

    Examples
    --------
    >>> typical(np.array([0.3, 0.1, 0.2]))
    {'small error (5th percentile)': 1, 'median error': 2, 'worst error': 0}
    """
    order = np.argsort(relative_l2, kind="stable")[: np.isfinite(relative_l2).sum()]
    shares = {
        "worst error": 1.0,
        "median error": 0.5,
        "small error (5th percentile)": 0.05,
        "large error (95th percentile)": 0.95,
    }
    chosen: dict[str, int] = {}
    for label, share in shares.items() if len(order) else ():
        position = int(order[int(np.floor(share * (len(order) - 1) + 0.5))])
        if position not in chosen.values():
            chosen[label] = position
    return dict(sorted(chosen.items(), key=lambda item: shares[item[0]]))
