"""Samples of shifted laws, solved to see what error bars are worth there."""

from __future__ import annotations

import numpy as np

from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.quickest import quickest
from ritz.compute.simulation.simulate import simulate
from ritz.compute.surrogates.model import Model
from ritz.compute.uncertainty.predicted import Predicted
from ritz.storage.errors import Refused
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.parsing.recorded_problem import recipe_of

SAMPLES = 150
"""Solved per law: they show a drop of six points in the share of whole fields at 90 %."""

_BLOCK, _PROBE = 32, 5


def solved(problem: Problem, seed: int, rtol: float, samples: int = SAMPLES, first: int = 0) -> tuple[Arrays, Arrays]:
    """Return inputs and solutions of some samples, rounded as a dataset has them; one that is not solved is left out.

    Parameters
    ----------
    seed
        Of the law.
    rtol
        Largest true relative residual.
    first
        Of the ids, which are consecutive.

    Raises
    ------
    ritz.storage.errors.Refused
        If fewer than 2 are solved: one has no deviation.
    """
    template = problem.template(1)
    solver, parts = quickest(problem, problem.draw(seed, np.arange(_PROBE)), rtol), []
    for begin in range(first, first + samples, _BLOCK):
        inputs = problem.draw(seed, np.arange(begin, min(begin + _BLOCK, first + samples)))
        fields, ledger = simulate(problem, inputs, solver, rtol)
        good = np.flatnonzero(np.array(ledger["status"]) == "ok")
        parts.append({name: values[good] for name, values in {**inputs, **fields}.items()})
    whole = {name: np.concatenate([part[name] for part in parts]).astype(template[name].dtype) for name in parts[0]}
    solves = len(next(iter(whole.values())))
    if solves < 2:
        raise Refused(f"{solves} of {samples} samples of the law were solved to rtol {rtol:g}, expected at least 2")
    roles = {str(name): variable.attrs["role"] for name, variable in template.data_vars.items()}
    inputs = {name: whole[name] for name, role in roles.items() if role == "input"}
    return inputs, {name: whole[name] for name, role in roles.items() if role == "output"}


def fresh_seed(store: Store, model: str, dataset: str) -> int:
    """Return a seed of which no sample of the datasets of a model was drawn.

    Laws that differ in a parameter give alike samples for the same seed and id: those of another law would be too like
    the ones that the model was trained on.
    """
    seeds = (recipe_of(store, dataset)["data"]["seed"], of_model.card(store, model).recipe["data"]["seed"])
    return 1 + max(int(seed) for seed in seeds)


def predicted(
    model: Model, problem: Problem, seed: int, rtol: float, samples: int = SAMPLES, first: int = 0
) -> Predicted:
    """Return samples that are solved, with what a model says of them; see `solved`."""
    inputs, truth = solved(problem, seed, rtol, samples, first)
    return Predicted(inputs, model.predict(inputs), truth)
