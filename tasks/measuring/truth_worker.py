from __future__ import annotations

import numpy as np

from ritz.compute.evaluation.truth import Distances, to_discrete_solution, to_finer_grid
from ritz.compute.simulation.quickest import quickest
from ritz.compute.solvers.choice.auto import Auto
from ritz.storage.datasets import Dataset
from ritz.storage.names import split_spec
from ritz.storage.store import Store
from ritz.tasks.documents.evaluation import TruthError, TruthErrors
from ritz.tasks.measuring.split_fields import taken
from ritz.tasks.measuring.worker import Case, opened

SAMPLES = 8
"""Test samples whose truth is measured: no more solves on a finer grid than that."""


def truth_errors(case: Case) -> TruthErrors:
    """Measure what errors the truth of a few test samples has, by solving their equations better."""
    at_hand = opened(case)
    data, problem, (name, version) = at_hand.data, at_hand.problem, split_spec("dataset", case.dataset)
    made = Dataset.open(Store(case.store), name).at(version)
    about = {"dataset": case.dataset, "rtol": made.rtol, "rounding_bound": made.rounding_bound}
    if problem is None:
        unknown = _error(
            f"the problem {made.recipe['problem'].get('kind')!r} is not installed here, or was solved elsewhere"
        )
        return TruthErrors(**about, labels=unknown, discretisation=unknown)
    if reason := problem.unsolvable():
        unknown = _error(f"{reason}; `ritz audit {case.dataset} --as PROBLEM` estimates how well they solve a problem")
        return TruthErrors(**about | {"rtol": None}, labels=unknown, discretisation=unknown)
    test = np.flatnonzero(data["split"].values == "test")
    chosen = np.sort(np.random.default_rng(0).choice(test, min(SAMPLES, len(test)), replace=False))
    inputs, truth = taken(data, chosen)
    solver = quickest(problem, {key: values[:2] for key, values in inputs.items()}, made.rtol)
    expected = float(np.nanmean(data["seconds"].values[chosen])) if "seconds" in data else 0.0
    return TruthErrors(
        **about,
        labels=_error(to_discrete_solution(problem, inputs, truth, solver=Auto(), expected=expected)),
        discretisation=_error(
            to_finer_grid(
                problem,
                inputs,
                truth,
                seed=int(made.recipe["data"]["seed"]),
                ids=data["sample_id"].values[chosen],
                solver=solver,
                rtol=made.rtol,
                expected=expected,
            )
        ),
    )


def _error(found: Distances | str) -> TruthError:
    if isinstance(found, str):
        return TruthError(known=False, reason=found)
    errors = found.relative_l2
    return TruthError(
        known=True,
        mean=float(errors.mean()),
        max=float(errors.max()),
        samples=len(errors),
        points=found.points,
        seconds=found.seconds,
    )
