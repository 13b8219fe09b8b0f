"""Which rungs a question about a population may stand on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.evaluation.quantities.quantity import Quantity
from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.problem import Problem
from ritz.compute.simulation.coarsening import coarsened
from ritz.compute.simulation.reduced.reduced import ReducedBases
from ritz.compute.uncertainty.propagation.propagation import TRUTH
from ritz.tasks.propagation.stored_law import StoredLaw
from ritz.tasks.propagation.worker import BASES, CORRECTED, NETWORK, QUADRATIC, By, ModelRung, solver_of

FEWER = (2, 4, 8)
"""Times fewer points along an axis, and fewer steps where that goes."""

COARSE_RTOL = 1e-4
"""Tolerance of the systems of a coarser grid, whose error is that of the grid."""


@dataclass(frozen=True)
class RungPlace:
    """Where a rung is answered.

    Attributes
    ----------
    role
        Of the workers.
    problem
        On the grid of the rung.
    rtol
        Of its systems; None of a surrogate.
    surrogate
        None of a solve.
    law
        Of the samples; None for that of the problem.
    """

    role: str
    problem: Problem
    rtol: float | None = None
    surrogate: ModelRung | None = None
    law: StoredLaw | None = None

    def by(self, cluster: Cluster, seed: int) -> By:
        """Return what answers: a solver that a worker chose, with its tolerance, or the surrogate."""
        if self.surrogate is not None:
            return self.surrogate
        assert self.rtol is not None
        return cluster.call(self.role, solver_of, self.problem, seed, self.rtol, self.law), self.rtol


def places(
    problem: Problem,
    rtol: float,
    quantities: Sequence[Quantity],
    model: ModelRung | None = None,
    asked: Collection[str] = (),
    law: StoredLaw | None = None,
) -> tuple[dict[str, RungPlace], dict[str, str]]:
    """Return the rungs by name, the truth first, and why others are none.

    Parameters
    ----------
    problem, rtol
        The truth, and the tolerance of its systems.
    model
        Whose predictions are a rung, and what else follows from it.
    asked
        Names of rungs that are there only where they are asked for.
    law
        Of the samples; None for that of the problem. A grid to which its inputs do not come by means over cells is no
        rung.
    """
    found = {TRUTH: RungPlace("solve", problem, rtol, law=law)}
    left_out: dict[str, str] = {}
    for name, coarse in _coarser(problem):
        reason = coarse if isinstance(coarse, str) else _unfit(coarse, quantities, law)
        if reason:
            left_out[name] = reason
        else:
            assert isinstance(coarse, Problem)
            found[name] = RungPlace("solve", coarse.loosened(COARSE_RTOL), max(rtol, COARSE_RTOL), law=law)
    if model is not None:
        reasons = {NETWORK: "", QUADRATIC: "", CORRECTED: problem.uncorrectable()}
        if BASES in asked:
            reasons[BASES] = ReducedBases().unfit(problem)
        left_out |= {name: reason for name, reason in reasons.items() if reason}
        for name in (one for one, reason in reasons.items() if not reason):
            role = "solve" if name == BASES else "train"
            found[name] = RungPlace(role, problem, surrogate=replace(model, answers=name), law=law)
    return found, left_out


def _coarser(problem: Problem) -> Iterator[tuple[str, Problem | str]]:
    """Yield the coarser twins by name, or why there is none."""
    for fewer in FEWER:
        yield f"points/{fewer}", coarsened(problem, fewer)
        if isinstance(problem, Evolution):
            yield f"points/{fewer} steps/{fewer}", coarsened(problem, fewer, fewer)


def _unfit(problem: Problem, quantities: Sequence[Quantity], law: StoredLaw | None) -> str:
    reason = next((reason for one in quantities if (reason := one.unfit(problem))), "")
    return reason or ("" if law is None else law.unfit(problem))
