from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from ritz.compute.problems.darcy import Darcy
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.catalogue import AnySolver
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.solver import COLUMNS
from ritz.compute.solvers.systems import Systems

SOLVERS = (
    Direct(),
    Recycled(),
    Recycled(restart=30, recycle=0),
    Recycled(preconditioner="ssor", restart=30, recycle=10),
    Recycled(preconditioner="none", restart=80, recycle=30),
    Krylov(),
    Krylov(method="gmres", preconditioner="jacobi", restart=80),
    Krylov(method="bicgstab"),
    Auto(probe=2),
)


def singular(n=3, size=6):
    """Systems of which number 1 has no solution: diffusion without walls, and a source that is not balanced."""
    c = diffusion(np.ones((n, size, size))).coefficients.copy()
    c[1, 0] = -c[1, 1:].sum(axis=0)
    return Systems(Stencil(c, symmetric=True), np.ones((n, size, size)))


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: f"{s.kind}{SOLVERS.index(s)}")
def test_every_solver_agrees_with_a_dense_one(solver, family):
    solutions, _ = solver.solve(family, rtol=1e-10)
    assert solutions.ledger["status"] == ["ok"] * 4
    for i in range(4):
        exact = np.linalg.solve(family.operators.csr(i).toarray(), family.rhs[i].ravel())
        assert np.linalg.norm(solutions.x[i].ravel() - exact) <= 1e-7 * np.linalg.norm(exact)


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: f"{s.kind}{SOLVERS.index(s)}")
def test_ledger_holds_the_true_residual_of_every_system(solver, family):
    solutions, _ = solver.solve(family, rtol=1e-8)
    ledger = solutions.ledger
    assert tuple(ledger) == COLUMNS
    assert {len(column) for column in ledger.values()} == {4}
    for i in range(4):
        b = family.rhs[i].ravel()
        residual = np.linalg.norm(b - family.operators.csr(i) @ solutions.x[i].ravel()) / np.linalg.norm(b)
        assert ledger["residual"][i] == pytest.approx(residual, rel=1e-4, abs=1e-13)
        assert ledger["residual"][i] <= 1e-8
    assert all(seconds > 0 for seconds in ledger["seconds"])
    assert all(count > 0 for count in ledger["matvecs"])
    json.dumps(ledger)


def test_recycled_and_direct_agree_on_darcy():
    problem = Darcy(shape=(32, 32))
    operators = diffusion(problem.draw(0, np.arange(8))["a"])
    systems = Systems(operators, np.ones((8, 32, 32)))
    x, y = (solver.solve(systems, rtol=1e-9)[0].x for solver in (Direct(), Recycled()))
    difference = np.linalg.norm((x - y).reshape(8, -1), axis=1) / np.linalg.norm(x.reshape(8, -1), axis=1)
    assert np.all(difference <= 1e-7)


def test_a_real_right_hand_side_of_a_complex_operator():
    c = diffusion(np.ones((1, 8, 8))).coefficients.astype(complex)
    c[:, 0] += 5j
    systems = Systems(Stencil(c, symmetric=True), np.ones((1, 8, 8)))
    for solver in (Direct(), Recycled(), Krylov(), Krylov(method="bicgstab")):
        solutions, _ = solver.solve(systems, rtol=1e-9)
        assert solutions.ledger["status"] == ["ok"]
        assert solutions.x.dtype == np.complex128
        assert np.abs(solutions.x.imag).max() > 1e-4


def test_a_zero_right_hand_side_has_a_zero_answer():
    systems = Systems(diffusion(np.ones((2, 6, 6))), np.zeros((2, 6, 6)))
    for solver in SOLVERS:
        solutions, _ = solver.solve(systems, rtol=1e-8)
        assert not solutions.x.any()
        assert solutions.ledger["status"] == ["ok", "ok"]
        assert solutions.ledger["residual"] == [0.0, 0.0]


def test_what_misses_the_tolerance_is_given_to_direct(caplog):
    operators = diffusion(Darcy(shape=(24, 24)).draw(0, np.arange(3))["a"])
    systems = Systems(operators, np.ones((3, 24, 24)))
    weak = Recycled(restart=2, recycle=0, maxiter=1, preconditioner="none")
    with caplog.at_level(logging.WARNING):
        solutions, _ = weak.solve(systems, rtol=1e-8)
    assert solutions.ledger["status"] == ["ok"] * 3
    assert solutions.ledger["solver"] == ["direct"] * 3
    assert solutions.ledger["iterations"] == [2, 2, 2]
    assert "recycled missed rtol" in caplog.text
    assert np.array_equal(solutions.x, Direct().solve(systems, rtol=1e-8)[0].x)


@pytest.mark.parametrize(
    "solver",
    [
        Direct(),
        Recycled(restart=10, recycle=4),
        Recycled(preconditioner="none"),
        Krylov(preconditioner="jacobi"),
        Krylov(method="bicgstab"),
    ],
)
def test_a_system_without_a_solution_fails_and_the_others_do_not(solver):
    solutions, _ = solver.solve(singular(), rtol=1e-8)
    assert solutions.ledger["status"] == ["ok", "failed", "ok"]
    assert solutions.ledger["reason"][1] in ("not_converged", "breakdown")
    assert not solutions.ledger["residual"][1] <= 1e-8
    assert np.isnan(solutions.x[1]).all()
    assert np.isfinite(solutions.x[[0, 2]]).all()


@pytest.mark.parametrize("solver", [Direct(), Recycled(), Krylov(method="bicgstab")])
def test_a_matrix_of_zeros_is_a_breakdown(solver):
    c = diffusion(np.ones((2, 6, 6))).coefficients.copy()
    c[0] = 0
    solutions, _ = solver.solve(Systems(Stencil(c, symmetric=True), np.ones((2, 6, 6))), rtol=1e-8)
    assert solutions.ledger["status"] == ["failed", "ok"]
    assert solutions.ledger["reason"] == ["breakdown", ""]


@pytest.mark.parametrize("where", ["rhs", "matrix"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_systems_that_are_not_finite_fail_and_the_carry_survives(where, value):
    operators = diffusion(np.ones((3, 12, 12)))
    rhs = np.ones((3, 12, 12))
    (rhs[1] if where == "rhs" else operators.coefficients[1, 0])[2, 2] = value
    solutions, carry = Recycled(restart=10, recycle=4).solve(Systems(operators, rhs), rtol=1e-8)
    assert solutions.ledger["status"] == ["ok", "failed", "ok"]
    assert solutions.ledger["reason"][1] == "not_finite"
    assert np.isfinite(carry.basis).all()


def test_direct_falls_back_to_pivoting():
    # A zero diagonal stops pivots from the diagonal at once.
    c = np.zeros((1, 3, 4))
    c[0, 1, 1:] = c[0, 2, :-1] = 1
    solutions, _ = Direct().solve(Systems(Stencil(c), np.arange(4.0)[None]), rtol=1e-12)
    assert solutions.ledger["status"] == ["ok"]
    assert solutions.x[0] == pytest.approx(np.linalg.solve(Stencil(c).csr(0).toarray(), np.arange(4.0)))


@pytest.mark.parametrize("rtol", [0.0, 1.0, -1e-8, np.nan])
def test_rtol_is_checked(rtol):
    with pytest.raises(ValueError, match="rtol is"):
        Direct().solve(singular(), rtol=rtol)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"restart": 1}, "restart"),
        ({"recycle": -1}, "recycle"),
        ({"restart": 20, "recycle": 20}, "recycle is 20"),
        ({"preconditioner": "magic"}, "preconditioner"),
        ({"maxiter": 0}, "maxiter"),
        ({"tol": 1}, "tol"),
    ],
)
def test_bad_fields_are_named(fields, name):
    with pytest.raises(ValidationError, match=name):
        Recycled(**fields)


@pytest.mark.parametrize("solver", [*SOLVERS, Auto(candidates=(Recycled(restart=9, recycle=2),), probe=3)])
def test_solvers_go_through_json(solver):
    adapter = TypeAdapter(AnySolver)
    assert adapter.validate_python(json.loads(adapter.dump_json(solver))) == solver
    assert adapter.validate_python(solver.kind).kind == solver.kind
