"""Networks as they were drawn, for spreads that ask the model."""

from __future__ import annotations

import numpy as np
import torch

from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import Network, network
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.uncertainty.predicted import Predicted

DRAWN = FNO(modes=4, width=6, layers=1)


def solved(problem: Problem, n: int, first: int) -> Arrays:
    """Inputs and outputs of ``n`` samples, as they would be stored."""
    inputs = problem.draw(0, np.arange(first, first + n))
    truth, ledger = simulate(problem, inputs, Direct(), 1e-10)
    assert set(ledger["status"]) == {"ok"}
    return {name: values.astype(np.float32) for name, values in (inputs | truth).items()}


def alone(problem: Problem, surrogate: Network = DRAWN, seed: int = 0) -> Model:
    normalisation = Normalisation.fit(problem.template(1), solved(problem, 8, 0))
    torch.manual_seed(seed)
    return Model(surrogate, normalisation, network(surrogate, normalisation).eval())


def together(problem: Problem, size: int = 3) -> Model:
    return Ensemble(member=DRAWN, size=size).joined([alone(problem, seed=seed) for seed in range(size)])


def predicted(model: Model, problem: Problem, n: int, first: int) -> Predicted:
    fields = solved(problem, n, first)
    prediction = model.predict(fields)
    inputs = {one.name: fields[one.name] for one in model.normalisation.inputs}
    return Predicted(inputs, prediction, {name: fields[name] for name in prediction})
