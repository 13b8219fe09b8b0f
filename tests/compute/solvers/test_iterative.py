from __future__ import annotations

import logging

import numpy as np
import pytest
import scipy.sparse.linalg as spla
from pydantic import ValidationError

from ritz.compute.problems.darcy import Darcy
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.preconditioners.ilu import ILU
from ritz.compute.solvers.systems import Systems


@pytest.fixture(scope="module")
def darcy():
    operators = diffusion(Darcy(shape=(24, 24)).draw(0, np.arange(3))["a"])
    return Systems(operators, np.ones((3, 24, 24)))


@pytest.mark.parametrize("method", ["cg", "bicgstab"])
def test_iterations_are_those_of_scipy_with_the_same_preconditioner(darcy, method):
    solutions, carry = Krylov(method=method).solve(darcy, rtol=1e-8)
    assert carry is None
    assert solutions.ledger["solver"] == ["krylov"] * 3
    for i in range(3):
        calls: list[np.ndarray] = []
        getattr(spla, method)(
            darcy.operators.csr(i),
            darcy.rhs[i].ravel(),
            rtol=0.999e-8,
            M=ILU().inverse(darcy.operators, i),
            callback=calls.append,
        )
        # SciPy's BiCGStab does not call for the half of an iteration that it ends with.
        assert abs(solutions.ledger["iterations"][i] - len(calls)) <= 1
        applied = {"cg": 1, "bicgstab": 2}[method] * len(calls)
        # For two true residuals, the last half of an iteration, and the residual in the ledger.
        assert applied < solutions.ledger["matvecs"][i] <= applied + 4


def test_gmres_is_recycling_of_nothing(darcy):
    one, _ = Krylov(restart=12).solve(darcy, rtol=1e-9)
    other, _ = Recycled(restart=12, recycle=0).solve(darcy, rtol=1e-9)
    assert np.array_equal(one.x, other.x)
    assert one.ledger["matvecs"] == other.ledger["matvecs"]


@pytest.mark.parametrize("preconditioner", ["none", "jacobi", "ssor", "ilu", "icc"])
@pytest.mark.parametrize("method", ["cg", "bicgstab", "gmres"])
def test_every_method_takes_every_preconditioner(darcy, method, preconditioner):
    solver = Krylov(method=method, preconditioner=preconditioner, restart=60)
    solutions, _ = solver.solve(darcy, rtol=1e-8)
    assert solutions.ledger["solver"] == ["krylov"] * 3
    assert max(solutions.ledger["residual"]) <= 1e-8


@pytest.mark.parametrize("solver", [*(Krylov(method=name) for name in ("cg", "bicgstab", "gmres")), Recycled()])
def test_a_good_guess_saves_iterations_and_the_answer_itself_all(darcy, solver):
    cold, _ = solver.solve(darcy, rtol=1e-8)
    near = Systems(darcy.operators, darcy.rhs, cold.x * (1 + 1e-4 * np.cos(np.arange(24.0))))
    warm, _ = solver.solve(near, rtol=1e-8)
    assert sum(warm.ledger["iterations"]) < 0.8 * sum(cold.ledger["iterations"])
    assert max(warm.ledger["residual"]) <= 1e-8
    there, _ = solver.solve(Systems(darcy.operators, darcy.rhs, cold.x), rtol=1e-7)
    assert there.ledger["iterations"] == [0, 0, 0]
    assert np.array_equal(there.x, cold.x)


def test_a_guess_for_nothing_is_forgotten(darcy):
    systems = Systems(darcy.operators, np.zeros_like(darcy.rhs), np.ones_like(darcy.rhs))
    for solver in (Krylov(method="cg"), Krylov(), Recycled()):
        assert not solver.solve(systems, rtol=1e-8)[0].x.any()


def test_what_misses_the_tolerance_is_given_to_direct(darcy, caplog):
    for method in ("cg", "bicgstab", "gmres"):
        weak = Krylov(method=method, preconditioner="none", restart=2, maxiter=3)
        with caplog.at_level(logging.WARNING):
            solutions, _ = weak.solve(darcy, rtol=1e-8)
        assert solutions.ledger["solver"] == ["direct"] * 3
        assert solutions.ledger["status"] == ["ok"] * 3
        # GMRES finishes its cycle.
        assert all(3 <= count <= 4 for count in solutions.ledger["iterations"])
    assert "krylov missed rtol" in caplog.text


@pytest.mark.parametrize(
    "operators",
    [
        Stencil(np.ones((1, 3, 4)) * [[[4], [0], [0]]]),
        Stencil(np.ones((1, 3, 4)) * [[[4 + 1j], [0], [0]]], symmetric=True, definite=True),
        Stencil(np.ones((1, 3, 4)) * [[[-4], [0], [0]]], symmetric=True),
    ],
)
def test_cg_is_refused_for_what_it_cannot_solve(operators):
    with pytest.raises(ValueError, match="'cg' needs real symmetric positive definite operators"):
        Krylov(method="cg").solve(Systems(operators, np.ones((1, 4))), rtol=1e-8)


@pytest.mark.parametrize("fields", [{"method": "minres"}, {"preconditioner": "magic"}, {"restart": 0}, {"maxiter": 0}])
def test_bad_fields_are_named(fields):
    with pytest.raises(ValidationError, match=next(iter(fields))):
        Krylov(**fields)
