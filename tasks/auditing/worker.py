from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ritz.compute.problems.problem import Arrays
from ritz.storage.integrity.scan import Scan, ShardValues
from ritz.storage.ledger import COLUMNS, REASONS, STATUSES, imported
from ritz.tasks.auditing.findings import Finding, Outcome, join
from ritz.tasks.auditing.regenerate_worker import Source, same_bits
from ritz.tasks.generation.rounding import unit_roundoff

EVALUATION = 2.0**-49
"""Sixteen units of double precision: what evaluating a residual may itself add, times ‖|A| |u|‖ / ‖b‖."""

AT_ONCE = 2**21
"""Values of all fields whose residuals are computed together: what the steps between take fits into caches."""

OK, FAILED = STATUSES.index("ok"), STATUSES.index("failed")


@dataclass(frozen=True, repr=False)
class Block:
    """Some shards that follow each other: what a worker is given.

    Attributes
    ----------
    ids, known
        ``sample_id`` of their samples, and whether it could be read.
    expected, split
        Position in `ritz.storage.ledger.SPLITS` that the recipe gives each id, and the stored one (-1: unreadable).
    """

    source: Source
    first: int
    ids: np.ndarray
    known: np.ndarray
    expected: np.ndarray
    split: np.ndarray

    def __repr__(self) -> str:
        return f"shards from {self.first} of dataset {self.source.name!r}"


@dataclass(frozen=True)
class Report:
    """What the driver gets of a block.

    Attributes
    ----------
    samples
        How many are stored.
    ok
        Ids of those that are ok.
    """

    samples: int
    ok: np.ndarray
    outcomes: dict[str, Outcome]


@dataclass(frozen=True)
class Audited:
    """A block that was looked through."""

    receipt: Report


def audit(block: Block) -> Audited:
    """Read every chunk of some shards, draw their inputs again, and recompute what can be.

    A value that cannot be read is named once, by the check of the checksums, and left out of the others. Residuals are
    those of the outputs with the inputs as they are drawn, so that a changed input is named by its own check alone.
    Nothing of samples that were solved elsewhere can be drawn or recomputed.
    """
    scan = block.source.open()
    parts: list[dict[str, Outcome]] = []
    ok: list[np.ndarray] = []
    samples = 0
    for start in range(0, len(block.ids), scan.shard):
        shard, rows = block.first + start // scan.shard, slice(start, start + scan.shard)
        if not scan.has(shard):
            continue
        samples += scan.shard
        one = _Shard(block.source, scan, shard, block.ids[rows], block.known[rows])
        parts.append(
            {
                "checksums": one.checksums(),
                "splits": one.splits(block.expected[rows], block.split[rows]),
                "ledger": one.ledger(),
                **({} if block.source.problem.unsolvable() else one.made_again()),
            }
        )
        ok.append(one.ids[one.ok & one.known])
    return Audited(Report(samples, np.concatenate(ok) if ok else np.empty(0, np.int64), join(parts)))


@dataclass
class _Shard:
    """One shard, read."""

    source: Source
    scan: Scan
    index: int
    ids: np.ndarray
    known: np.ndarray
    parts: dict[str, ShardValues] = field(init=False)

    def __post_init__(self) -> None:
        self.parts = {name: self.scan.read(name, self.index) for name in (*self.scan.fields, *COLUMNS)}

    @property
    def ok(self) -> np.ndarray:
        """Which samples are ok, as far as their status can be read."""
        found: np.ndarray = self.readable("status") & (self.parts["status"].values == OK)
        return found

    def readable(self, *names: str) -> np.ndarray:
        return ~np.logical_or.reduce([self.parts[name].unreadable for name in names])

    def named(self, rows: Any) -> tuple[int, ...]:
        """Return the ids of rows; none where they are not known."""
        return tuple(int(one) for one in self.ids[rows][self.known[rows]])

    def found(self, check: str, bad: np.ndarray, what: str, variable: str) -> Iterator[Finding]:
        if bad.any():
            yield Finding(check, what, variable, self.index, self.named(bad))

    def checksums(self) -> Outcome:
        findings = [
            Finding("checksums", fault.what, name, self.index, self.named(list(fault.rows)), fault.object)
            for name, part in self.parts.items()
            for fault in part.faults
        ]
        return Outcome.of(findings, sum(part.chunks for part in self.parts.values()))

    def splits(self, expected: np.ndarray, stored: np.ndarray) -> Outcome:
        bad = self.known & (stored >= 0) & (stored != expected)
        return Outcome.of(self.found("splits", bad, "not the split of the id", "split"), len(self.ids))

    def ledger(self) -> Outcome:
        """Look at what the ledger says, and whether NaN is where it says that a sample failed."""
        values = {name: self.parts[name].values for name in COLUMNS}
        ok, status = self.ok, self.readable("status")
        failed = status & (values["status"] == FAILED)
        findings: list[Finding] = []

        def expect(name: str, good: np.ndarray, where: np.ndarray, what: str) -> None:
            findings.extend(self.found("ledger", where & self.readable(name) & ~good, what, name))

        expect("status", np.isin(values["status"], (OK, FAILED)), status, "neither ok nor failed")
        expect("reason", values["reason"] == 0, ok, "a reason where the status is ok")
        expect("reason", (values["reason"] > 0) & (values["reason"] < len(REASONS)), failed, "failed for no reason")
        solvers = (values["solver"] > 0) & (values["solver"] <= len(self.scan.solvers()))
        expect("solver", solvers, ok | failed, "no solver of the dataset")
        for name in ("iterations", "matvecs"):
            expect(name, values[name] >= 0, ok | failed, "negative")
        expect("seconds", np.isfinite(values["seconds"]) & (values["seconds"] >= 0), ok | failed, "no length of time")
        for name, role in self.scan.fields.items():
            flat = self.parts[name].values.reshape(len(self.ids), -1)
            expect(name, np.isfinite(flat).all(axis=1), ok, "not finite where the status is ok")
            if role == "output":
                expect(name, np.isnan(flat).all(axis=1), failed, "not NaN throughout where the status is failed")
        expect("residual", ~(values["residual"] < 0), ok, "negative")
        elsewhere = imported(values["solver"], self.scan.solvers())
        expect("residual", np.isnan(values["residual"]), ok & elsewhere, "a residual that nobody has measured")
        rows = ok & ~elsewhere & self.readable("residual", "solver")
        bounds = np.full(int(rows.sum()), self.source.rtol)
        recorded = Outcome.bounded("ledger", self.index, self.ids[rows], values["residual"][rows], bounds, "residual")
        rest = Outcome.of(findings, int((~rows).sum()))
        return join([{"ledger": recorded}, {"ledger": rest}])["ledger"]

    def made_again(self) -> dict[str, Outcome]:
        """Draw the inputs again and recompute the residuals, some samples at a time."""
        step = max(1, AT_ONCE * 4 // max(1, self.scan.sample_bytes))
        rows = np.flatnonzero(self.known)
        return join(self._some(rows[start : start + step]) for start in range(0, len(rows), step))

    def _some(self, rows: np.ndarray) -> dict[str, Outcome]:
        problem = self.source.problem
        drawn = problem.draw(self.source.seed, self.ids[rows])
        findings: list[Finding] = []
        for name, values in drawn.items():
            bad = self.readable(name)[rows] & ~same_bits(self.parts[name].values[rows], values)
            if bad.any():
                what = "not what the law gives this id"
                findings.append(Finding("inputs", what, name, self.index, self.named(rows[bad])))
        outcomes = {"inputs": Outcome.of(findings, len(rows))}
        outputs = [name for name, role in self.scan.fields.items() if role == "output"]
        good = (self.ok & self.readable(*outputs))[rows]
        if not good.any():
            return outcomes
        inputs: Arrays = {name: values[good] for name, values in drawn.items()}
        fields = {name: self.parts[name].values[rows[good]] for name in outputs}
        with np.errstate(all="ignore"):
            adds = (unit_roundoff(fields) + EVALUATION) * problem.rounding(inputs, fields)
            allowed = problem.attained(self.source.rtol) + adds
            # Values that are not finite make the bound no bound.
            allowed = np.where(np.isfinite(allowed), allowed, 0.0)
            for check, measure in (("residuals", problem.residual), ("boundary", problem.boundary)):
                found = measure(inputs, fields)
                outcomes[check] = Outcome.bounded(check, self.index, self.ids[rows[good]], found, allowed)
        return outcomes
