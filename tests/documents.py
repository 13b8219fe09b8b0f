"""Documents with as little in them as there can be, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ritz.tasks.comparison.comparison_record import ComparisonRecord, TrainedSeed
from ritz.tasks.comparison.gains import PUBLISHED, gains
from ritz.tasks.documents.calibration import Coverage, CoverageRow, key
from ritz.tasks.documents.card import Card, Origin
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.documents.evaluation import ErrorSummary, Metrics
from ritz.tasks.documents.run import FinishedRun
from ritz.tasks.documents.training import TrainingSummary


def errors(mean: float) -> ErrorSummary:
    return ErrorSummary(mean=mean, median=mean, p95=mean, max=mean)


def metrics(mean: float) -> Metrics:
    return Metrics(relative_l2=errors(mean))


def coverage(level: float, measured: float) -> Coverage:
    return {key(level): CoverageRow(nominal=level, measured=measured, width=1.0)}


def training(steps: int = 1) -> TrainingSummary:
    return TrainingSummary(steps=steps, first_step=0.0, last_step=0.0, parameters=1, seconds=0.0, samples_received=1)


def origin(dataset: DatasetVersion, recipe: dict[str, Any], summary: TrainingSummary | None = None) -> Origin:
    """What made a model, by default in one step."""
    return Origin(name="one", dataset=dataset, recipe=recipe, mode="offline", training=summary or training())


def card(recipe: dict[str, Any]) -> Card:
    """The card of a model of one input and one output, in the plane and on any grid."""
    variable = {"dims": ["y", "x"], "dtype": "float32", "attrs": {}}
    made = origin(DatasetVersion(name="data", version="v1", snapshot="S"), recipe, training().changed(any_grid=True))
    interface = {"inputs": {"a": variable}, "outputs": {"u": variable}, "space": ["y", "x"], "sizes": {}}
    return Card.model_validate({**made.entries(), **interface, "grid": {}, "coordinates": {}, "identity": "two"})


def finished(**entries: Any) -> FinishedRun:
    """The record of a run named ``small``; the entries take the place of its own."""
    record = {
        "run": "20260101T000000-small-01234567",
        "status": "finished",
        "identity": "0123456789abcdef0123",
        "created": "2026-01-01T00:00:00+00:00",
        "dataset": {"name": "small", "version": "v2", "snapshot": "S", "samples": 40, "splits": {"test": 6}},
        "model": {"name": "small", "version": "v3", "released": False},
        "metrics": metrics(0.25),
        "baselines": {},
        "coverage": {},
        "ledger": {
            "max_residual": 1e-9, "solvers": {"direct": 40}, "failed": 0, "seconds": 1.0, "rtol": 1e-8, "solved": 40,
            "reused": 0,
        },
        "times": {
            "first_step": 1.0, "last_shard": 2.0, "steps": 1, "steps_while_solving": 0, "generate": 2.0, "train": 2.0,
        },
        "paths": {"report": "/store/report.html", "store": "/store"},
    }  # fmt: skip
    return FinishedRun.model_validate(record | entries)


def comparison(found: Mapping[str, Sequence[TrainedSeed]], **entries: Any) -> ComparisonRecord:
    """A comparison with these results by arm; the entries take the place of its own."""
    made = finished()
    record = {
        "comparison": "0123456789abcdef",
        "kind": "online-offline",
        "name": "small",
        "created": made.created,
        "command": (),
        "recipe": {"surrogate": {"kind": "fno"}},
        "dataset": made.dataset,
        "ledger": made.ledger,
        "samples": 10,
        "epochs": 20,
        "fresh": 4,
        "steps": 20,
        "seeds": (0, 1, 2),
        "clock": {"seconds": 10.0, "simulation": 0.05, "step": 0.02, "begin": 1.0, "could_solve": 80},
        "arms": {name: {"name": name, "samples": 10, "steps": 20, "seeds": seeds} for name, seeds in found.items()},
        "gains": gains(found),
        "published": PUBLISHED,
        "seconds": 1.0,
        "versions": {"ritz": "0.1.0"},
        "paths": {"store": "here", "page": "there"},
    }
    return ComparisonRecord.model_validate(record | entries)


def seed(error: float, first_weights: str) -> TrainedSeed:
    """One training of a comparison and what it came to."""
    return TrainedSeed(
        arm="offline",
        seed=0,
        samples=10,
        steps=20,
        received=10,
        seen=10,
        seconds=1.0,
        parameters=1,
        first_weights=first_weights,
        test=errors(error),
        curve=(),
        machines=(),
    )
