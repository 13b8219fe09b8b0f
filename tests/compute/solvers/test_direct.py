from __future__ import annotations

import pickle

import numpy as np
import pytest

from ritz.compute.solvers.assembly import convection_diffusion, diffusion, with_reaction
from ritz.compute.solvers.factorization import analysis
from ritz.compute.solvers.factorization.analysis import importable
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.operators import Matrices, Stencil
from ritz.compute.solvers.systems import Systems

LIBRARIES = importable()


def plane(n=3, cells=20, seed=0):
    return diffusion(np.exp(np.random.default_rng(seed).standard_normal((n, cells, cells))))


def flow(n=3, cells=20):
    still = np.ones((n, cells + 1, cells)), np.ones((n, cells, cells + 1))
    return convection_diffusion(0.1, still)


def waves():
    return with_reaction(plane(), -300.0, definite=False)


def rhs(operators, seed=1):
    return np.random.default_rng(seed).standard_normal((len(operators), *operators.shape))


def counting(calls, function):
    """Return the function, which now also leaves a mark of every call."""

    def counted(*arguments):
        calls.append(1)
        return function(*arguments)

    return counted


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    "make", [plane, flow, lambda: with_reaction(plane(), -300.0, definite=False)], ids=["spd", "lu", "indefinite"]
)
def test_every_library_agrees_with_a_dense_solver(library, make):
    operators = make()
    if analysis.lacks(library, operators):
        pytest.skip(analysis.lacks(library, operators))
    systems = Systems(operators, rhs(operators))
    solutions, _ = Direct(library=library).solve(systems, rtol=1e-10)
    assert solutions.ledger["status"] == ["ok"] * 3
    for i in range(3):
        exact = np.linalg.solve(operators.csr(i).toarray(), systems.rhs[i].ravel())
        assert solutions.x[i].ravel() == pytest.approx(exact, rel=1e-8, abs=1e-9 * np.abs(exact).max())


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_unstructured_matrix_of_many_right_hand_sides_is_factored_once(library, monkeypatch):
    one = plane(1)
    matrix = one.csr(0)
    pattern = Matrices.pattern_of(matrix)
    operators = Matrices(
        np.broadcast_to(matrix.data, (6, matrix.nnz)), pattern, one.shape, symmetric=True, definite=True
    )
    count: list[int] = []
    found = analysis.analyze(library, operators)
    original = type(found).factor
    monkeypatch.setattr(type(found), "factor", counting(count, original))
    systems = Systems(operators, rhs(operators))
    solutions, _ = Direct(library=library).solve(systems, rtol=1e-10)
    assert len(count) == 1
    assert np.allclose(solutions.x.reshape(6, -1) @ matrix.toarray().T, systems.rhs.reshape(6, -1), rtol=0, atol=1e-8)
    Direct(library=library).solve(systems, rtol=1e-10)
    assert len(count) == 1


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_older_factorisation_still_answers(library):
    operators = plane(2)
    b = rhs(operators)[0].ravel()
    found = analysis.analyze(library, operators)
    first = found.factor(operators.entries(0))
    found.factor(operators.entries(1))
    assert operators.matvec(0, first(b)) == pytest.approx(b, abs=1e-9 * np.abs(operators.coefficients).max())


def test_operators_that_come_again_are_factored_twice_at_most(monkeypatch):
    operators = plane()
    made: list[int] = []
    found = analysis.analyze("superlu", operators)
    original = type(found).factor
    monkeypatch.setattr(type(found), "factor", counting(made, original))
    carry, answers = None, []
    for step in range(5):
        solutions, carry = Direct(library="superlu").solve(
            Systems(operators, rhs(operators, step)), rtol=1e-9, carry=carry
        )
        answers.append(solutions.x)
    assert len(made) == 6
    # Factors are not pickled; a copy makes them again and goes on with the same bits.
    copied = pickle.loads(pickle.dumps(carry))
    again, _ = Direct(library="superlu").solve(Systems(operators, rhs(operators, 4)), rtol=1e-9, carry=copied)
    assert np.array_equal(again.x, answers[-1])


def test_the_library_is_chosen_among_those_that_fit():
    assert Direct().elimination.chosen(plane()) == LIBRARIES[0]
    assert Direct().elimination.chosen(Stencil(plane().coefficients.astype(complex), symmetric=True)) == "superlu"
    if "cholmod" in LIBRARIES:
        with pytest.raises(ValueError, match=r"solver is 'direct': cholmod needs .* definite"):
            Direct(library="cholmod").solve(Systems(flow(), rhs(flow())), rtol=1e-8)


def test_a_library_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(analysis, "importable", lambda: ("superlu",))
    with pytest.raises(ValueError, match=r"pardiso needs .*ritz\[pardiso\]"):
        Direct(library="pardiso").solve(Systems(plane(), rhs(plane())), rtol=1e-8)
    assert Direct().elimination.chosen(plane()) == "superlu"
