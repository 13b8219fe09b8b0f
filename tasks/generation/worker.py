from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.posing import all_systems, first_systems
from ritz.compute.simulation.simulate import simulate, simulate_along
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.choice.panel import panel
from ritz.compute.solvers.choice.record import Choice, PanelRow
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.solver import COLUMNS, Ledger, Solver
from ritz.compute.solvers.tuning.learner import Learner
from ritz.storage.datasets import Dataset
from ritz.storage.shards import Fork, is_committed, write_shard
from ritz.storage.store import Store
from ritz.tasks.errors import RecipeError
from ritz.tasks.generation.rounding import rounding_bound

DRAWN = 24
"""Bytes that a value of the inputs takes while it is drawn; measured: 21."""

AT_ONCE = 2**26
"""Bytes of samples that are drawn together for their features."""


@dataclass(frozen=True)
class FeatureBlock:
    """A block of samples whose features are wanted."""

    problem: Problem
    seed: int
    start: int
    stop: int


@dataclass(frozen=True)
class Features:
    """Features of a block, ``(n, d)`` float32, to order its samples by."""

    receipt: np.ndarray


def features(block: FeatureBlock) -> Features:
    """Draw a block of samples, as many at a time as memory allows, and keep only the features."""
    values = sum(
        field.size for field in block.problem.template(1).data_vars.values() if field.attrs.get("role") == "input"
    )
    step = max(1, AT_ONCE // (DRAWN * values))
    parts = [
        block.problem.features(block.problem.draw(block.seed, np.arange(start, min(start + step, block.stop))))
        for start in range(block.start, block.stop, step)
    ]
    return Features(np.concatenate(parts))


@dataclass(frozen=True)
class Probed:
    """What the probe on the first systems of a run found.

    Attributes
    ----------
    solver
        The solver of the run.
    choice
        What was tried and what it cost; empty where the recipe names the solver.
    panel
        See `ritz.compute.solvers.choice.panel.panel`: recycling with and without carry, sorted and unsorted,
        and the direct solver; none where a system takes so long that there is no time for one in each way.
    """

    solver: Solver
    choice: Choice
    panel: tuple[PanelRow, ...]


FOR_PANEL, SHORTEST = 0.02, 15.0
"""What measuring order and recycling may take, as a share of a run's time, and the seconds that every run takes."""

PROBED = 64
"""Most systems that a probe looks at: a shard of many tiny samples would be raced for seconds by six methods."""


def suits(problem: Problem, seed: int, ids: np.ndarray, solver: Solver) -> bool:
    """Return whether a solver, perhaps chosen on another machine, can solve some samples' systems on this one."""
    systems = first_systems(problem, problem.draw(seed, ids))
    return systems is None or not solver.unfit(systems)


def probe(problem: Problem, seed: int, rtol: float, solver: Solver, ordered: np.ndarray, each: float) -> Probed:
    """Choose the solver of a run, and measure what order and recycling do for its systems.

    Parameters
    ----------
    ordered
        Ids of one shard, in solve order; the first `PROBED` are taken.
    each
        Samples that each worker will solve: what the second may take goes by the time of that.

    Where the problem poses no systems for the first of them there is nothing to choose by: it solves by itself, or
    `Auto` chooses when systems come.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        If the solver cannot solve such systems.
    """
    ordered = ordered[:PROBED]
    if first_systems(problem, problem.draw(seed, ordered[:1])) is None:
        return Probed(solver, Choice(), ())
    alike = first_systems(problem, problem.draw(seed, ordered))
    assert alike is not None
    if reason := solver.unfit(alike):
        raise RecipeError(f"solver is {solver.kind!r}: {reason}; expected a solver that can, such as 'auto'")
    choice = Choice()
    named = solver.candidates if isinstance(solver, Auto) else (solver,)
    recycled = next((one for one in named if isinstance(one, Recycled)), Recycled())
    if isinstance(solver, Auto):
        batches = all_systems(problem, problem.draw(seed, ordered[:2]), solver.leader(alike), rtol)
        solver, choice = solver.choose(batches if len(batches) > 1 else alike, rtol=rtol)
    if len(alike) != len(ordered):
        return Probed(solver, choice, ())
    limit = FOR_PANEL * max(SHORTEST, each * (solver.expected(alike) or 0))
    mixed = alike.take(np.argsort(ordered))
    return Probed(solver, choice, panel(alike, mixed, rtol=rtol, recycled=recycled, limit=limit))


UNSOLVED: Mapping[str, Any] = {
    "status": "failed",
    "reason": "breakdown",
    "residual": np.nan,
    "iterations": 0,
    "matvecs": 0,
    "seconds": 0.0,
}
"""What the ledger says of a sample that is set aside, beside its solver."""


@dataclass(frozen=True, repr=False)
class Shard:
    """One shard to solve: what a solve worker is given."""

    store: str
    dataset: str
    index: int
    ids: np.ndarray
    split: np.ndarray
    problem: Problem
    seed: int
    rtol: float
    dtype: str
    solver: Solver
    fork: Fork
    aside: tuple[int, ...] = ()
    """Ids of samples that are not solved, because they kill the worker: they have failed."""

    def __repr__(self) -> str:
        return f"shard {self.index} of dataset {self.dataset!r}"

    def alone(self, sample: int) -> Shard:
        """Return one sample of it, to be tried by itself."""
        here = self.ids == sample
        return replace(self, ids=self.ids[here], split=self.split[here])


@dataclass(frozen=True)
class Receipt:
    """What the driver gets of a solved shard.

    Attributes
    ----------
    fork
        The fork that holds the written shard, or None if the branch head had the shard already.
    ledger
        Columns, a row a sample.
    seconds
        Wall time of the task.
    learnt
        Sums of what its solver learnt (`ritz.compute.solvers.tuning.learner.Learner.summary`); None where it does not
        learn, or nothing was solved.
    """

    index: int
    fork: Fork | None
    ledger: Ledger | dict[str, np.ndarray]
    seconds: float
    learnt: Arrays | None = None


@dataclass(frozen=True)
class Solved:
    """A solved shard, in the memory of the worker that solved it, as it is stored."""

    receipt: Receipt
    ids: np.ndarray
    split: np.ndarray
    fields: Arrays = field(repr=False)


def solve(shard: Shard) -> Solved:
    """Solve a shard and write it in the fork; read it back instead if it is committed already.

    The second case is a worker that died after its receipt was committed: its fields are made again from the
    store, and nothing is solved or written twice.
    """
    start = time.perf_counter()
    if is_committed(shard.fork, shard.index):
        stored = Dataset.open(Store(shard.store), shard.dataset).read_shard(shard.index)
        assert stored is not None
        receipt = Receipt(shard.index, None, stored.ledger, time.perf_counter() - start)
        return Solved(receipt, stored.sample_id, stored.split, stored.arrays)
    inputs = shard.problem.draw(shard.seed, shard.ids)
    outputs, ledger, carry = _simulated(shard, inputs)
    fields = inputs | _stored(outputs, ledger, shard.dtype)
    bound = rounding_bound(shard.problem, inputs, fields, np.asarray(ledger["status"]) == "ok")
    fork = write_shard(shard.fork, shard.index, fields, ledger, bound)
    learnt = shard.solver.summary(carry) if isinstance(shard.solver, Learner) else None
    receipt = Receipt(shard.index, fork, ledger, time.perf_counter() - start, learnt)
    return Solved(receipt, shard.ids, shard.split, fields)


def attempt(shard: Shard) -> None:
    """Solve the samples of a shard and keep nothing of it."""
    simulate(shard.problem, shard.problem.draw(shard.seed, shard.ids), shard.solver, shard.rtol)


def _simulated(shard: Shard, inputs: Arrays) -> tuple[Arrays, Ledger, Any]:
    """Solve the samples of a shard but those that are set aside, which have failed; the last is the solver's carry."""
    good = np.flatnonzero(~np.isin(shard.ids, shard.aside))
    if len(good) == len(shard.ids):
        return simulate_along(shard.problem, inputs, shard.solver, shard.rtol)
    carry: Any = None
    some = {name: values[good] for name, values in inputs.items()}
    names = [
        (str(name), field)
        for name, field in shard.problem.template(len(shard.ids)).data_vars.items()
        if field.attrs.get("role") == "output"
    ]
    fields = {name: np.full(field.shape, np.nan) for name, field in names}
    ledger: Ledger = {name: [UNSOLVED.get(name, shard.solver.kind)] * len(shard.ids) for name in COLUMNS}
    if len(good):
        outputs, rows, carry = simulate_along(shard.problem, some, shard.solver, shard.rtol)
        ledger["solver"] = [rows["solver"][0]] * len(shard.ids)
        for name, values in outputs.items():
            fields[name][good] = values
        for name in COLUMNS:
            for row, value in zip(good.tolist(), rows[name], strict=True):
                ledger[name][row] = value
    return fields, ledger, carry


def _stored(outputs: Arrays, ledger: Ledger, dtype: str) -> Arrays:
    """Round outputs to the stored dtype; a sample that does not fit in it has failed."""
    with np.errstate(over="ignore"):
        fields = {name: values.astype(dtype) for name, values in outputs.items()}
    for row, status in enumerate(ledger["status"]):
        if status == "ok" and not all(np.isfinite(values[row]).all() for values in fields.values()):
            ledger["status"][row], ledger["reason"][row] = "failed", "not_finite"
            for values in fields.values():
                values[row] = np.nan
    return fields
