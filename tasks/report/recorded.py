from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Part = Mapping[str, Any]


@dataclass(frozen=True)
class Recorded:
    """What a report takes from the record of a run; nothing else of `tasks.report` knows the form of a record.

    Every part may be empty: it was not measured then.

    Attributes
    ----------
    run, status, created, identity
        Which run it is, how it ended, when it began, and the identity of its recipe.
    command
        The line that makes the run again.
    made
        What made the page, in a sentence, where it is not of a run.
    recipe, dataset, model
        What was asked for, and what came of it.
    metrics, baselines
        Errors by metric, of the model and of simpler methods.
    coverage
        Measured coverage of the error bars, a row per level, ascending.
    totals
        The ledger in sums: ``solved``, ``reused``, ``failed``, ``max_residual`` …
    choice, panel, tuning
        How ``auto`` chose the solver, what ordering and recycling do, and what a solver learnt that tunes itself.
    population
        What was asked about the population of the law, with the answers.
    cost, break_even
        What the model costs, and when that has paid for itself.
    equal_seconds
        The most accurate solve that takes as long as a prediction.
    usage
        What it took of machines.
    times, memory, versions, machine
        How long it took, and where.
    store
        Where the dataset lies.
    """

    run: str = "a run"
    status: str | None = None
    created: str | None = None
    identity: str | None = None
    command: str | None = None
    made: str | None = None
    recipe: Part = field(default_factory=dict)
    dataset: Part = field(default_factory=dict)
    model: Part = field(default_factory=dict)
    metrics: Part = field(default_factory=dict)
    baselines: Part = field(default_factory=dict)
    coverage: tuple[Part, ...] = ()
    bar_seconds: Part = field(default_factory=dict)
    ranking: Part = field(default_factory=dict)
    shifted: Part = field(default_factory=dict)
    totals: Part = field(default_factory=dict)
    choice: Part = field(default_factory=dict)
    panel: tuple[Part, ...] = ()
    tuning: Part = field(default_factory=dict)
    population: tuple[Part, ...] = ()
    cost: Part = field(default_factory=dict)
    break_even: Part = field(default_factory=dict)
    equal_seconds: Part = field(default_factory=dict)
    usage: Part = field(default_factory=dict)
    times: Part = field(default_factory=dict)
    memory: Part = field(default_factory=dict)
    versions: Part = field(default_factory=dict)
    machine: Part = field(default_factory=dict)
    store: str | None = None

    @staticmethod
    def of(record: Part) -> Recorded:
        """Read a record, in which any part may be absent or None."""
        alike = (
            "recipe", "dataset", "model", "metrics", "baselines", "bar_seconds", "ranking", "shifted", "choice", "cost",
            "break_even", "equal_seconds", "usage", "times", "memory", "versions", "machine", "tuning",
        )  # fmt: skip
        parts: dict[str, Part] = {name: record.get(name) or {} for name in alike}
        coverage = sorted((record.get("coverage") or {}).values(), key=lambda row: row["nominal"])
        command = record.get("command")
        return Recorded(
            run=record.get("run") or "a run",
            status=record.get("status"),
            created=record.get("created"),
            identity=record.get("identity"),
            made=record.get("made"),
            command=command if isinstance(command, str) or command is None else shlex.join(command),
            coverage=tuple(coverage),
            totals=record.get("ledger") or {},
            panel=tuple(record.get("panel") or ()),
            population=tuple(record.get("population") or ()),
            store=(record.get("paths") or {}).get("store"),
            **parts,
        )

    @property
    def next_to_90(self) -> Part:
        """The coverage at 90 %, or at the level next to it; empty where none was measured."""
        return min(self.coverage, key=lambda row: abs(row["nominal"] - 0.9), default={})

    @property
    def own_error(self) -> Part:
        """The error of the model, empty where it was not measured."""
        return self.metrics.get("relative_l2") or {}

    def baseline_means(self) -> dict[str, float]:
        """Return the mean relative L2 error of the baselines, by their names."""
        found = {name: (row.get("relative_l2") or {}).get("mean") for name, row in self.baselines.items()}
        return {name: float(mean) for name, mean in found.items() if mean is not None}
