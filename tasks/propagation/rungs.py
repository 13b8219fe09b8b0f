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
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.uncertainty.propagation.propagation import TRUTH
from ritz.tasks.propagation.worker import By, ModelRung, solver_of

NETWORK, CORRECTED, QUADRATIC = "network", "corrected", "quadratic"
"""Names of the rungs that a model gives: itself, its predictions after one step of the problem's iteration, and the
baseline fitted to the same samples."""

BASES = "bases"
"""Name of the rung of the equations in the span of the training samples; it is there only where it is asked for, since
it never paid."""

FEWER = (2, 4, 8)
"""Times fewer points along an axis, and fewer steps where that goes."""

COARSE_RTOL = 1e-4
"""Tolerance of the systems of a coarser grid, whose error is that of the grid."""


@dataclass(frozen=True)
class Place:
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
    """

    role: str
    problem: Problem
    rtol: float | None = None
    surrogate: ModelRung | None = None

    def by(self, cluster: Cluster, seed: int) -> By:
        """Return what answers: a solver that a worker chose, with its tolerance, or the surrogate."""
        if self.surrogate is not None:
            return self.surrogate
        assert self.rtol is not None
        return cluster.call(self.role, solver_of, self.problem, seed, self.rtol), self.rtol


def places(
    problem: Problem,
    rtol: float,
    quantities: Sequence[Quantity],
    store: str,
    model: str,
    dataset: str,
    asked: Collection[str] = (),
    learnt_by: Surrogate | None = None,
) -> tuple[dict[str, Place], dict[str, str]]:
    """Return the rungs by name, the truth first, and why others are none.

    Parameters
    ----------
    problem, rtol
        The truth, and the tolerance of its systems.
    store
        URL.
    model, dataset
        ``NAME@VERSION``; empty without a model.
    asked
        Names of rungs that are there only where they are asked for.
    learnt_by
        What learnt the model, where its class is not registered.
    """
    found = {TRUTH: Place("solve", problem, rtol)}
    left_out: dict[str, str] = {}
    for name, coarse in _coarser(problem):
        reason = coarse if isinstance(coarse, str) else _unfit(coarse, quantities)
        if reason:
            left_out[name] = reason
        else:
            assert isinstance(coarse, Problem)
            found[name] = Place("solve", coarse.loosened(COARSE_RTOL), max(rtol, COARSE_RTOL))
    if model:
        network = ModelRung(store, model, dataset, learnt_by=learnt_by)
        found[NETWORK] = Place("train", problem, surrogate=network)
        found[QUADRATIC] = Place("train", problem, surrogate=replace(network, baseline=QUADRATIC))
        if reason := problem.uncorrectable():
            left_out[CORRECTED] = reason
        else:
            found[CORRECTED] = Place("train", problem, surrogate=replace(network, corrected=True))
        if BASES in asked:
            if reason := ReducedBases().unfit(problem):
                left_out[BASES] = reason
            else:
                found[BASES] = Place("solve", problem, surrogate=replace(network, reduced=True))
    return found, left_out


def _coarser(problem: Problem) -> Iterator[tuple[str, Problem | str]]:
    """Yield the coarser twins by name, or why there is none."""
    for fewer in FEWER:
        yield f"points/{fewer}", coarsened(problem, fewer)
        if isinstance(problem, Evolution):
            yield f"points/{fewer} steps/{fewer}", coarsened(problem, fewer, fewer)


def _unfit(problem: Problem, quantities: Sequence[Quantity]) -> str:
    return next((reason for one in quantities if (reason := one.unfit(problem))), "")
