"""Samples that are solved to a true residual of their equations, from a start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.compute.fields.arrays import double
from ritz.compute.problems.evolution import Evolution, State
from ritz.compute.problems.sizes import joint_size
from ritz.compute.simulation.simulate import ITSELF, simulate_along
from ritz.compute.simulation.starts.start import Start
from ritz.compute.solvers.choice.auto import Auto

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays, Problem, Solve
    from ritz.compute.solvers.operators import Operators
    from ritz.compute.solvers.solver import Ledger, Solver
    from ritz.compute.solvers.systems import Systems

STEPS = 30
"""Most steps of a problem's iteration from a start."""

FALL = 0.5
"""Largest share of a residual that a step may leave: where one leaves more, the start has lost its way."""

SHARE = 0.5
"""Share of the wanted residual that the systems of a step are solved to."""

FINEST = 1e-10
"""Least relative residual that is asked of a system for a change; what is beyond it takes one more step."""


@dataclass(frozen=True)
class Solvers:
    """What answers the systems of samples.

    Attributes
    ----------
    own
        Those that a problem poses when it is simulated.
    change
        Those for the change of given fields.
    """

    own: Solver
    change: Solver = field(default_factory=Auto)


@dataclass(frozen=True)
class Answered:
    """Samples that were solved.

    Attributes
    ----------
    fields
        ``(n, *dims)`` float64 by output; NaN where the status is ``"failed"``.
    ledger
        One row per sample; ``status`` is ``"ok"`` where ``residual``, that of the problem's equations in float64, is at
        most the tolerance. It is the one that was reached where it is not.
    systems
        How many systems with a right-hand side other than zero were solved, for all samples together.
    lost
        ``(n,)`` bool, samples that a start did not lead to a solution, or not in each time step: there the problem's
        own start was taken.
    """

    fields: Arrays
    ledger: Ledger
    systems: int
    lost: np.ndarray

    @property
    def good(self) -> np.ndarray:
        """Samples whose fields have the wanted residual, ``(n,)`` bool."""
        found: np.ndarray = np.array(self.ledger["status"]) == "ok"
        return found


def answered(
    problem: Problem, inputs: Mapping[str, np.ndarray], start: Start | None, solvers: Solvers, rtol: float
) -> Answered:
    """Solve samples until the true residual of their equations is at most ``rtol``.

    Every system ends in `ritz.compute.solvers.certify.certify`, as in a generated dataset, and the fields are measured
    by `Problem.residual` besides, which shares no operators with the solvers. From a start the problem's own iteration
    goes on (`Problem.corrected`), in a problem in time step by step; its systems are posed for the change, to half of
    what is wanted of the sample. A sample whose residual a step does not halve is solved from the problem's own start.

    Parameters
    ----------
    problem
        Whose equations they are.
    inputs
        ``(n, *dims)`` for every input, n ≥ 1.
    start
        Where to begin; None for the problem's own start, such as zero, or the state before a time step. Where its own
        iteration stops above ``rtol`` it goes on from there.
    solvers
        What answers the systems.
    rtol
        Largest relative residual of a good sample, see `Problem.residual`.

    Raises
    ------
    ValueError
        If there is a start and the problem has no step from given fields; see `Problem.uncorrectable`.
    """
    loose = problem.loosened(rtol)
    wide = {name: double(values) for name, values in inputs.items()}
    count = len(next(iter(wide.values())))
    spent, lost = _Spent(count), np.zeros(count, dtype=bool)
    with np.errstate(all="ignore"):
        if start is None:
            fields = _simulated(loose, wide, np.arange(count), solvers.own, rtol, spent)
        else:
            problem.refuse_uncorrectable()
            fields, lost = _begun(loose, wide, start, solvers, rtol, spent)
        residual = problem.residual(wide, fields)
        short = np.flatnonzero(residual > rtol)
        if start is None and len(short) and not problem.uncorrectable():
            some = _rows(wide, short)
            further, _ = _begun(loose, some, Start(_rows(fields, short)), solvers, rtol, spent, short)
            again = problem.residual(some, further)
            better = again < residual[short]
            residual[short[better]] = again[better]
            for name, values in further.items():
                fields[name][short[better]] = values[better]
    finite = np.logical_and.reduce([np.isfinite(one.reshape(count, -1)).all(axis=1) for one in fields.values()])
    good = finite & (residual <= rtol)
    for values in fields.values():
        values[~good] = np.nan
    return Answered(fields, spent.ledger(good, residual), spent.systems, lost)


def _begun(
    problem: Problem,
    inputs: Arrays,
    start: Start,
    solvers: Solvers,
    rtol: float,
    spent: _Spent,
    places: np.ndarray | None = None,
) -> tuple[Arrays, np.ndarray]:
    """Return fields from a start, and which samples it lost; ``places`` are theirs in what was spent."""
    count = len(next(iter(inputs.values())))
    places = np.arange(count) if places is None else places
    if isinstance(problem, Evolution):
        return _marched(problem, inputs, start, solvers, rtol, spent, places)
    first = {name: values.astype(np.float64) for name, values in start.fields.items()}

    def corrected(rows: np.ndarray, fields: Arrays, solve: Solve, step: int) -> Arrays:
        del step
        return problem.corrected(_rows(inputs, rows), fields, solve)

    def measured(rows: np.ndarray, fields: Arrays) -> np.ndarray:
        return problem.residual(_rows(inputs, rows), fields)

    fields, lost = _iterated(first, corrected, measured, solvers.change, rtol, spent, places)
    rows = np.flatnonzero(lost)
    if len(rows):
        own = _simulated(problem, _rows(inputs, rows), places[rows], solvers.own, rtol, spent)
        for name, values in own.items():
            fields[name][rows] = values
    return fields, lost


def _marched(
    problem: Evolution,
    inputs: Arrays,
    start: Start,
    solvers: Solvers,
    rtol: float,
    spent: _Spent,
    places: np.ndarray,
) -> tuple[Arrays, np.ndarray]:
    """Return states step by step, each begun at the one before, moved by what the start changes in this step."""
    now = problem.start(inputs).fields
    before = now if start.first is None else start.first
    count, steps = len(places), len(problem.times)
    fields = {name: np.empty((count, steps, *values.shape[1:])) for name, values in now.items()}
    lost = np.zeros(count, dtype=bool)
    kept: dict[int, Operators] = {}
    for step in range(steps):
        given = {name: double(values[:, step]) for name, values in start.fields.items()}
        guess = {name: now[name] + (given[name] - before[name]) for name in now}
        alike = problem.same_derivatives(step)
        if alike not in kept:
            kept = {alike: problem.step_linearised(inputs, now, guess, step)}
        now, away = _stepped(problem, inputs, State(step, now), guess, kept[alike], solvers, rtol, spent, places)
        lost |= away
        before = given
        for name, values in now.items():
            fields[name][:, step] = values
    return fields, lost


def _stepped(
    problem: Evolution,
    inputs: Arrays,
    state: State,
    guess: Arrays,
    operators: Operators,
    solvers: Solvers,
    rtol: float,
    spent: _Spent,
    places: np.ndarray,
) -> tuple[Arrays, np.ndarray]:
    """Return the states one step on from a guess of them, with the derivatives there, and which samples it lost."""

    def corrected(rows: np.ndarray, states: Arrays, solve: Solve, turn: int) -> Arrays:
        given, before = _rows(inputs, rows), _rows(state.fields, rows)
        # In the first turn the guess is where the derivatives were taken.
        known = None if turn else operators if len(rows) == len(places) else operators.take(rows)
        return problem.step_corrected(given, before, states, state.step, solve, known)

    def measured(rows: np.ndarray, states: Arrays) -> np.ndarray:
        return step_residual(problem, _rows(inputs, rows), _rows(state.fields, rows), states, state.step)

    after, lost = _iterated(guess, corrected, measured, solvers.change, rtol, spent, places)
    rows = np.flatnonzero(lost)
    if len(rows):
        solve = spent.solving(solvers.own, places[rows], rtol)
        own = problem.step(State(state.step, _rows(state.fields, rows)), _rows(inputs, rows), solve).fields
        for name, values in own.items():
            after[name][rows] = values
    return after, lost


def _iterated(
    fields: Arrays,
    corrected: Callable[[np.ndarray, Arrays, Solve, int], Arrays],
    measured: Callable[[np.ndarray, Arrays], np.ndarray],
    solver: Solver,
    rtol: float,
    spent: _Spent,
    places: np.ndarray,
) -> tuple[Arrays, np.ndarray]:
    """Correct fields until their residuals are small enough; return them and which samples do not come there."""
    fields = {name: values.copy() for name, values in fields.items()}
    residual = measured(np.arange(len(places)), fields)
    lost = ~np.isfinite(residual)
    for turn in range(STEPS):
        rows = np.flatnonzero((residual > rtol) & ~lost)
        if not len(rows):
            break
        least = float(np.clip(SHARE * rtol / residual[rows].max(), FINEST, SHARE))
        after = corrected(rows, _rows(fields, rows), spent.solving(solver, places[rows], least), turn)
        left = measured(rows, after)
        fell = (left <= FALL * residual[rows]) | (left <= rtol)
        lost[rows[~fell]] = True
        residual[rows[fell]] = left[fell]
        for name, values in after.items():
            fields[name][rows[fell]] = values[fell]
    return fields, lost | (residual > rtol)


def step_residual(problem: Evolution, inputs: Arrays, before: Arrays, after: Arrays, step: int) -> np.ndarray:
    """Return the relative residuals of one step, ``(n,)``; see `Evolution.relative`.

    Parameters
    ----------
    inputs, before, after
        float64; the states before and after the step, ``(n, *space)``.
    step
        Which, from 0.
    """
    now, then = ({name: values[:, None] for name, values in states.items()} for states in (before, after))
    left = joint_size(problem.step_equations(inputs, now, then, np.array([step])), axes=2)
    found: np.ndarray = (left / problem.step_size(now, then))[:, 0]
    return found


def _simulated(
    problem: Problem, inputs: Arrays, places: np.ndarray, solver: Solver, rtol: float, spent: _Spent
) -> Arrays:
    """Return the fields of samples from the problem's own start; NaN where a system was missed."""
    fields, ledger, _ = simulate_along(problem, inputs, solver, rtol, watch=spent.watch)
    spent.add(places, ledger)
    return fields


class _Spent:
    """What solving some samples took, added up over batches of systems."""

    def __init__(self, count: int) -> None:
        self.iterations, self.matvecs = np.zeros(count, dtype=int), np.zeros(count, dtype=int)
        self.seconds, self.reached = np.zeros(count), np.full(count, np.nan)
        self.solver, self.reason = [ITSELF] * count, [""] * count
        self.systems = 0
        self._carries: dict[int, tuple[Solver, Any]] = {}

    def watch(self, systems: Systems) -> None:
        """Count the systems that are not done already."""
        self.systems += int(systems.rhs.reshape(len(systems), -1).any(axis=1).sum())

    def add(self, places: np.ndarray, ledger: Ledger) -> None:
        """Add the ledger of samples, by their positions."""
        for name, total in (("iterations", self.iterations), ("matvecs", self.matvecs), ("seconds", self.seconds)):
            total[places] += ledger[name]
        self.reached[places] = ledger["residual"]
        for place, solver, reason in zip(places.tolist(), ledger["solver"], ledger["reason"], strict=True):
            self.reason[place] = reason
            if self.solver[place] != "direct":
                self.solver[place] = solver

    def solving(self, solver: Solver, places: np.ndarray, rtol: float) -> Solve:
        """Return what answers a system of each of some samples by a solver, whose state goes on from call to call."""

        def solve(systems: Systems) -> np.ndarray:
            self.watch(systems)
            _, carry = self._carries.get(id(solver), (solver, None))
            solutions, carry = solver.solve(systems, rtol=rtol, carry=carry)
            self._carries[id(solver)] = solver, carry
            self.add(places, solutions.ledger)
            return solutions.x

        return solve

    def ledger(self, good: np.ndarray, residual: np.ndarray) -> Ledger:
        """Return the ledger of the samples, of which those are good, with the residuals of their fields."""
        reached = np.where(np.isfinite(residual), residual, self.reached)
        missed = np.where(np.isfinite(reached), "not_converged", "not_finite")
        reasons = ["" if ok else self.reason[i] or str(missed[i]) for i, ok in enumerate(good.tolist())]
        return {
            "status": ["ok" if ok else "failed" for ok in good.tolist()],
            "reason": reasons,
            "residual": reached.tolist(),
            "iterations": self.iterations.tolist(),
            "matvecs": self.matvecs.tolist(),
            "seconds": self.seconds.tolist(),
            "solver": list(self.solver),
        }


def _rows(fields: Mapping[str, np.ndarray], rows: np.ndarray) -> Arrays:
    return {name: values[rows] for name, values in fields.items()}
