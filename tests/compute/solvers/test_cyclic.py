"""Tridiagonal systems on a line and on a ring, solved by elimination."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import scipy

from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.simulation.posing import all_systems, first_systems
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.factorization.cyclic import Cyclic, bands_of
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.operators import Matrices
from ritz.compute.solvers.systems import Systems


def matrices(dense: np.ndarray, *, broadcast: int | None = None) -> Matrices:
    """Return dense matrices ``(n, m, m)`` on the pattern of the first; one of them broadcast, if asked for."""
    pattern = Matrices.pattern_of(scipy.sparse.csr_array(dense[0]))
    values = np.ascontiguousarray(dense[:, pattern.rows(), pattern.indices])
    if broadcast is not None:
        values = np.broadcast_to(values[:1], (broadcast, values.shape[1]))
    return Matrices(values, pattern, (dense.shape[1],))


def dominant(n: int, m: int, *, ring: bool, dtype: type = float) -> np.ndarray:
    """Return tridiagonal matrices whose diagonals dominate, closed to rings where asked for."""
    rng = np.random.default_rng(m)
    near = np.abs(np.subtract.outer(np.arange(m), np.arange(m)))
    near = np.minimum(near, m - near) if ring else near
    entries: np.ndarray = rng.uniform(-1, 1, (n, m, m)).astype(dtype)
    if dtype is complex:
        entries = entries + 1j * rng.uniform(-1, 1, (n, m, m))
    return np.where(near == 1, entries, 0) + 4 * np.eye(m)


def rhs(n: int, m: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((n, m))


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("ring", [False, True], ids=["line", "ring"])
@pytest.mark.parametrize("m", [1, 2, 3, 4, 7, 50])
def test_it_agrees_with_a_dense_solver(m: int, ring: bool, dtype: type) -> None:
    dense = dominant(3, m, ring=ring, dtype=dtype)
    systems = Systems(matrices(dense), rhs(3, m))
    assert Cyclic().unfit(systems) == ""
    solutions, carry = Cyclic().solve(systems, rtol=1e-12)
    assert carry is None
    assert solutions.ledger["solver"] == ["cyclic"] * 3
    assert solutions.ledger["iterations"] == [0] * 3
    exact = np.linalg.solve(dense, systems.rhs[..., None])[..., 0]
    assert np.abs(solutions.x - exact).max() <= 1e-14 * np.abs(exact).max()


def test_an_answer_does_not_depend_on_the_batch() -> None:
    systems = Systems(matrices(dominant(9, 33, ring=True)), rhs(9, 33))
    together = Cyclic().together(systems)
    assert together is not None
    for i in range(9):
        attempt, _ = Cyclic().attempt(systems, i, rtol=1e-10, carry=None)
        assert attempt.x is not None
        assert np.array_equal(attempt.x, together[i])
        assert np.array_equal(Cyclic().solve(systems.take(slice(i, i + 1)), rtol=1e-10)[0].x[0], together[i])
    assert len(Cyclic().solve(systems.take(slice(0)), rtol=1e-10)[0].x) == 0


def test_one_matrix_stands_for_many() -> None:
    dense = dominant(1, 20, ring=True)
    systems = Systems(matrices(dense, broadcast=5), rhs(5, 20))
    solutions, _ = Cyclic().solve(systems, rtol=1e-12)
    assert np.abs(solutions.x @ dense[0].T - systems.rhs).max() <= 1e-13


def test_a_complex_right_hand_side_of_real_matrices() -> None:
    dense = dominant(2, 12, ring=True)
    b = rhs(2, 12) + 1j * rhs(2, 12)[::-1]
    solutions, _ = Cyclic().solve(Systems(matrices(dense), b), rtol=1e-12)
    assert np.abs(np.einsum("nij,nj->ni", dense, solutions.x) - b).max() <= 1e-13


def test_a_stencil_on_a_line_is_tridiagonal() -> None:
    operators = diffusion(np.exp(np.random.default_rng(0).standard_normal((3, 40))))
    systems = Systems(operators, rhs(3, 40))
    solutions, _ = Cyclic().solve(systems, rtol=1e-9)
    assert set(solutions.ledger["solver"]) == {"cyclic"}
    assert np.abs(solutions.x - Direct().solve(systems, rtol=1e-12)[0].x).max() <= 1e-9 * np.abs(solutions.x).max()


@pytest.mark.parametrize(
    "operators",
    [diffusion(np.ones((1, 4, 4))), matrices(np.ones((1, 4, 4))), matrices((np.eye(5) + np.eye(5, k=2))[None])],
    ids=["plane", "full", "next but one"],
)
def test_other_patterns_are_refused(operators: Matrices) -> None:
    systems = Systems(operators, np.ones((1, *operators.shape)))
    assert bands_of(operators.pattern) is None
    with pytest.raises(ValueError, match="solver is 'cyclic': cyclic needs tridiagonal matrices, or rings"):
        Cyclic().solve(systems, rtol=1e-8)


def test_a_pivot_of_zero_is_a_breakdown_and_the_direct_solver_answers_by_its_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The matrix that exchanges neighbours is regular, but has a diagonal of zeros."""
    dense = dominant(3, 4, ring=True)
    dense[1] = np.kron(np.eye(2), [[0, 1], [1, 0]])
    systems = Systems(matrices(dense), rhs(3, 4))
    attempt, _ = Cyclic().attempt(systems, 1, rtol=1e-8, carry=None)
    assert (attempt.x, attempt.reason) == (None, "breakdown")
    with caplog.at_level(logging.WARNING):
        solutions, _ = Cyclic().solve(systems, rtol=1e-8)
    assert solutions.ledger["solver"] == ["cyclic", "direct", "cyclic"]
    assert solutions.ledger["status"] == ["ok"] * 3
    assert solutions.x[1] == pytest.approx(systems.rhs[1][[1, 0, 3, 2]])
    assert "cyclic missed rtol 1.0e-08 on system 1: breakdown" in caplog.text


def test_a_singular_matrix_has_failed() -> None:
    dense = dominant(2, 6, ring=True)
    dense[1] = 2 * np.eye(6) - np.roll(np.eye(6), 1, axis=0) - np.roll(np.eye(6), -1, axis=0)
    solutions, _ = Cyclic().solve(Systems(matrices(dense), rhs(2, 6)), rtol=1e-8)
    assert solutions.ledger["status"] == ["ok", "failed"]
    assert np.isnan(solutions.x[1]).all()


def test_auto_takes_it_for_burgers() -> None:
    problem = Burgers(points=64, steps=2, end=0.1)
    posed = all_systems(problem, problem.draw(0, np.arange(4)), Direct(), 1e-8)
    solver, record = Auto().choose(posed, 1e-8)
    assert solver == Cyclic()
    assert {row.missed for row in record.tried} == {0}


def test_the_fields_of_burgers_are_those_of_the_direct_solver() -> None:
    problem = Burgers(points=64, steps=8, end=0.5)
    inputs = problem.draw(0, np.arange(3))
    fields = [
        problem.simulate(inputs, lambda systems, solver=solver: solver.solve(systems, rtol=1e-8)[0].x)["u"]  # type: ignore[misc]  # bound at once
        for solver in (Cyclic(), Direct())
    ]
    assert np.abs(fields[0] - fields[1]).max() <= 1e-14


def test_a_pattern_is_looked_at_once() -> None:
    problem = Burgers(points=32, steps=2)
    systems = [first_systems(problem, problem.draw(seed, np.arange(2))) for seed in (0, 1)]
    assert systems[0] is not None
    assert systems[1] is not None
    assert bands_of(systems[0].operators.pattern) is bands_of(systems[1].operators.pattern)
