from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.sensitivity import disturbed
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.sequential import Sequential
from ritz.storage.integrity.scan import Scan
from ritz.storage.ledger import COLUMNS, decode
from ritz.storage.store import Store
from ritz.tasks.auditing.audit_record import InputDifference, MadeAgain, OutputDifference, Words
from ritz.tasks.generation.rounding import unit_roundoff

SAFETY = 10.0
"""Factor on the sensitivity, which is an estimate from below."""


@dataclass(frozen=True)
class Source:
    """The version under audit, and what its samples are made by.

    Attributes
    ----------
    token
        Names the audit: within one a worker opens the version once, and in the next anew.
    """

    store: str
    name: str
    snapshot: str
    problem: Problem
    seed: int
    rtol: float
    token: str

    def open(self) -> Scan:
        """Open the version, or return it as it was opened before in this audit."""
        return _open(self.store, self.name, self.snapshot, self.token)


@lru_cache(maxsize=1)
def _open(store: str, name: str, snapshot: str, token: str) -> Scan:
    del token
    return Scan(Store(store), name, snapshot)


@dataclass(frozen=True)
class Sample:
    """One sample to be made again."""

    source: Source
    id: int
    position: int
    """In the order of solving, from 0."""


@dataclass(frozen=True)
class Regenerated:
    """A sample made again, compared with what is stored."""

    receipt: MadeAgain


def regenerate(sample: Sample) -> Regenerated:
    """Draw and solve one sample alone, and compare it with what is stored.

    Inputs have to be equal bit for bit. Outputs may differ, in the L2 norm and relative to that of the new ones, by
    the unit round-off of the stored dtype, the tolerance of the dataset, and ten times the sensitivity: how far the
    outputs move when every system is answered with an error of this tolerance (`ritz.compute.simulation.sensitivity`).
    """
    source, scan = sample.source, sample.source.open()
    shard, row = divmod(sample.position, scan.shard)
    stored, unreadable = _stored(scan, shard, row)
    ledger = {name: values for name, values in stored.items() if name in COLUMNS}
    said = {name: str(value[0]) for name, value in decode(ledger, scan.solvers()).items() if name in ledger}
    ids = np.array([sample.id])
    with np.errstate(all="ignore"):
        drawn = source.problem.draw(source.seed, ids)
        solver = other_than(said.get("solver", ""))
        found, solved = simulate(source.problem, drawn, solver, source.rtol)
        outputs: dict[str, OutputDifference] = {}
        if said.get("status") == "ok" and solved["status"][0] == "ok":
            outputs = _compared(source, drawn, found, stored, isinstance(solver, Direct))
    inputs = {name: _difference(stored[name], values) for name, values in drawn.items() if name in stored}
    same = said.get("status") != "ok" or solved["status"][0] == "ok"
    agrees = same and not unreadable and all(one.equal for one in inputs.values())
    return Regenerated(
        MadeAgain(
            sample=sample.id,
            shard=shard,
            status=Words(stored=said.get("status"), again=solved["status"][0]),
            solver=Words(stored=said.get("solver"), again=solved["solver"][0]),
            inputs=inputs,
            outputs=outputs,
            unreadable=unreadable,
            agrees=bool(agrees and all(one.within for one in outputs.values())),
        )
    )


def other_than(solver: str) -> Sequential:
    """Return a solver of another kind than the one that answered.

    The direct one; for what that one answered GCRO-DR, which hands back to it what it cannot do in 1000 steps.
    """
    return Recycled(maxiter=20) if solver == "direct" else Direct()


def same_bits(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return whether samples are equal bit for bit, ``(n,)``, NaN and signed zeros included."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return np.zeros(len(one), bool)
    bits = np.dtype(f"u{one.dtype.itemsize}")
    equal = np.ascontiguousarray(one).view(bits) == np.ascontiguousarray(other).view(bits)
    found: np.ndarray = equal.reshape(len(one), -1).all(axis=1)
    return found


def _stored(scan: Scan, shard: int, row: int) -> tuple[Arrays, dict[str, str]]:
    stored: Arrays = {}
    unreadable: dict[str, str] = {}
    for name in (*scan.fields, *COLUMNS):
        part = scan.read(name, shard)
        if part.unreadable[row]:
            unreadable[name] = next(fault.what for fault in part.faults if row in fault.rows)
        else:
            stored[name] = part.values[row : row + 1]
    return stored, unreadable


def _compared(
    source: Source, drawn: Arrays, found: Arrays, stored: Arrays, exactly: bool
) -> dict[str, OutputDifference]:
    """Compare outputs with those that are stored; `exactly` says that they were found by the direct solver."""
    tolerance = source.problem.attained(source.rtol)
    exact = found if exactly else simulate(source.problem, drawn, Direct(), source.rtol)[0]
    moved = disturbed(source.problem, drawn, tolerance)
    compared = {}
    for name, values in found.items():
        if name not in stored:
            continue
        size = float(np.linalg.norm(exact[name])) or 1.0
        difference = float(np.linalg.norm(stored[name].astype(np.float64) - values)) / size
        sensitivity = float(np.linalg.norm(moved[name] - exact[name])) / size
        bound = unit_roundoff({name: stored[name]}) + tolerance + SAFETY * sensitivity
        compared[name] = OutputDifference(
            difference=difference if np.isfinite(difference) else None,
            bound=bound if np.isfinite(bound) else None,
            within=bool(difference <= bound),
        )
    return compared


def _difference(stored: np.ndarray, drawn: np.ndarray) -> InputDifference:
    equal = bool(same_bits(stored, drawn)[0])
    largest = None
    if stored.shape == drawn.shape:
        largest = float(np.abs(stored.astype(np.float64) - drawn).max())
    return InputDifference(equal=equal, difference=largest if largest is not None and np.isfinite(largest) else None)
