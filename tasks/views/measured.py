"""What the shipped recipes have come to: figures that ``python -m benchmarks.recipes`` has measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

from ritz.tasks.documents.calibration import at
from ritz.tasks.documents.run import FinishedRun
from ritz.tasks.parsing.identity import outcome_hash
from ritz.tasks.pipeline import Pipeline

FILE = "measured.json"
"""Its name in the package `deployments`."""


@dataclass(frozen=True)
class Measured:
    """What one run of a recipe came to.

    Attributes
    ----------
    outcome
        Hash of all in the recipe that changes what a run comes to; not its gate.
    relative_l2
        Mean relative L2 error on the test samples.
    baseline, baseline_relative_l2
        The best baseline, and its error.
    coverage
        Share of the test fields that the 90 % bands hold; None without such bands.
    seconds
        Of the whole run by the clock on the wall.
    queries, queries_batched
        After how many predictions, one at a time and in batches, the surrogate has paid for itself against the fastest
        solve at matched error; None where it never has.
    paid
        Whether that could be measured.
    build
        Commit that was run.
    """

    outcome: str
    relative_l2: float
    baseline: str
    baseline_relative_l2: float
    coverage: float | None
    seconds: float
    queries: int | None
    queries_batched: int | None
    paid: bool
    build: str | None

    @classmethod
    def of(cls, record: FinishedRun) -> Measured:
        """Return what the record of a finished run says."""
        errors = {name: one.relative_l2.mean for name, one in record.baselines.items()}
        best = min(errors, key=lambda name: errors[name])
        bands, paid = at(record.coverage, 0.9), record.break_even
        assert paid is not None
        assert record.times.total is not None
        return cls(
            outcome=outcome_hash(record.recipe),
            relative_l2=record.metrics.relative_l2.mean,
            baseline=best,
            baseline_relative_l2=errors[best],
            coverage=None if bands is None else bands.measured,
            seconds=record.times.total,
            queries=paid.queries,
            queries_batched=paid.queries_batched,
            paid=paid.measured,
            build=record.versions["build"],
        )

    def pays_after(self) -> tuple[str, str]:
        """Return in words after how many predictions it has paid, one at a time and in batches."""
        if not self.paid:
            return "not known", "not known"
        one, many = ("never" if number is None else f"{number:,}" for number in (self.queries, self.queries_batched))
        return one, many


def measured() -> dict[str, Measured]:
    """Return the figures of the shipped recipes by their names."""
    document = json.loads((files("ritz.deployments") / FILE).read_text(encoding="utf-8"))
    return {name: Measured(**figures) for name, figures in document["recipes"].items()}


def measured_as(name: str, pipeline: Pipeline) -> Measured | None:
    """Return the figures of a recipe, None where it has changed since they were measured."""
    found = measured().get(name)
    return found if found is not None and found.outcome == outcome_hash(pipeline.document()) else None


def document(machine: Mapping[str, Any], figures: Mapping[str, Measured]) -> str:
    """Return the text of the file."""
    recipes = {name: asdict(one) for name, one in sorted(figures.items())}
    return json.dumps({"machine": dict(machine), "recipes": recipes}, indent=1) + "\n"
