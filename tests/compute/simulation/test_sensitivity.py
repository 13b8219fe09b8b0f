from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.problems.darcy import Darcy
from ritz.compute.simulation.sensitivity import disturbed
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.recycled import Recycled
from tests.compute.solvers.test_families import FAMILIES

RTOL = 1e-6


def _norms(fields: dict[str, np.ndarray]) -> np.ndarray:
    [values] = fields.values()
    return np.linalg.norm(values.reshape(len(values), -1), axis=1)


def _moved(problem, inputs, exact, rtol):
    moved = disturbed(problem, inputs, rtol)
    return _norms({name: moved[name] - values for name, values in exact.items()})


def test_it_is_that_of_the_smallest_eigenvalue():
    problem = Darcy(shape=(10, 12))
    inputs = problem.draw(0, np.arange(3))
    exact, _ = simulate(problem, inputs, Direct(), 1e-12)
    matrices: list[np.ndarray] = []

    def solve(systems):
        matrices.extend(systems.operators.csr(i).toarray() for i in range(len(systems)))
        return np.zeros(systems.rhs.shape)

    problem.simulate(inputs, solve)
    largest = np.array([1 / np.linalg.eigvalsh(matrix).min() for matrix in matrices])
    found = _moved(problem, inputs, exact, RTOL) / (RTOL * np.sqrt(120))
    assert np.all(found <= largest * (1 + 1e-6))
    assert np.all(found >= 0.9 * largest)


@pytest.mark.parametrize("name", FAMILIES)
def test_answers_good_to_a_tolerance_lie_within_ten_times_it(name):
    problem = FAMILIES[name]
    inputs = problem.draw(1, np.arange(3))
    exact, _ = simulate(problem, inputs, Direct(), 1e-12)
    moved = _moved(problem, inputs, exact, RTOL)
    found, ledger = simulate(problem, inputs, Recycled(preconditioner="jacobi"), RTOL)
    assert ledger["status"] == ["ok"] * 3
    off = _norms({key: found[key] - values for key, values in exact.items()})
    assert np.all(off <= 10 * moved + problem.attained(1e-12) * _norms(exact))
    # It is of the size of the tolerance, and scales with it.
    assert np.all(moved <= 1e4 * RTOL * _norms(exact))
    assert moved / 10 == pytest.approx(_moved(problem, inputs, exact, RTOL / 10), rel=0.1, abs=1e-9 * _norms(exact)[0])
