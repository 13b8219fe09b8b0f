from __future__ import annotations

import numpy as np

from benchmarks.generators import CELLS, Submodel, Traces
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.simulation.simulate import simulate


def test_the_submodel_gives_the_half_of_a_full_model_with_its_medium() -> None:
    problem = Helmholtz(shape=(CELLS, CELLS), variation=0.0)
    traces = Traces(problem)
    fields, _ = simulate(problem, problem.draw(0, np.arange(1)), traces.solver, 1e-10)
    half = Submodel(problem).solve(fields["u"][:, :, CELLS // 2 - 1])
    np.testing.assert_allclose(half, fields["u"][:, :, CELLS // 2 :], atol=1e-6 * np.abs(half).max())
    assert traces.take(2).shape == (2, CELLS)
