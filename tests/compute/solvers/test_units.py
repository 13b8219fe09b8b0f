"""Solvers and problems answer in all units: solve(s A, t b) = (t/s) solve(A, b), or say that there is no answer."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ritz.compute.problems.elliptic import Elliptic
from ritz.compute.problems.poisson import Poisson
from ritz.compute.simulation.sensitivity import disturbed
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.certify import relative_residual
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.factorization.analysis import importable
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.solvers.operators import Matrices, Stencil
from ritz.compute.solvers.scaling import shifted
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.transform.transform import Transform
from tests.compute.solvers.extended import check

SOLVERS = (
    *(Direct(library=library) for library in importable()),
    Multigrid(),
    Transform(),
    Krylov(method="cg", preconditioner="icc"),
    Krylov(method="cg", preconditioner="none"),
    Krylov(method="bicgstab"),
    Krylov(method="gmres", preconditioner="ssor"),
    Krylov(method="gmres", preconditioner="jacobi"),
    Recycled(),
    Recycled(preconditioner="none"),
    Auto(probe=2),
)
SHAPE = (12, 12)


def flow(kind):
    """Three systems: of one matrix or of three, real or complex, on a grid or on a pattern."""
    a = np.exp(0.5 * np.random.default_rng(0).standard_normal((3, *SHAPE)))
    stencil = diffusion(np.broadcast_to(np.ones((1, *SHAPE)), (3, *SHAPE)) if kind == "constant" else a)
    rhs = np.random.default_rng(1).standard_normal((3, *SHAPE))
    if kind == "complex":
        c = stencil.coefficients.astype(complex)
        c[:, 0] *= 1 + 0.1j
        return Systems(Stencil(c, symmetric=True), rhs * (1 + 0.5j))
    if kind == "matrices":
        values = np.stack([stencil.entries(i) for i in range(3)])
        return Systems(Matrices(values, stencil.pattern, SHAPE, symmetric=True, definite=True), rhs)
    return Systems(stencil, rhs)


FLOWS = {kind: flow(kind) for kind in ("stencil", "constant", "complex", "matrices")}
POWERS = [(0, 0), (0, -548), (0, 548), (530, 0), (-530, 0), (900, 900), (-900, -900), (-1000, 1000), (1000, -1000)]


@pytest.mark.parametrize("kind", FLOWS)
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: "-".join(map(str, list(s.model_dump().values())[:3])))
def test_a_solver_answers_in_all_units_or_fails(solver, kind):
    systems = FLOWS[kind]
    if solver.unfit(systems):
        return
    plain, _ = solver.solve(systems, rtol=1e-9)
    assert plain.ledger["status"] == ["ok"] * 3
    for of_A, of_b in POWERS:
        moved = Systems(systems.operators.scaled(np.full(3, of_A)), shifted(systems.rhs, of_b))
        found, _ = solver.solve(moved, rtol=1e-9)
        expected = shifted(plain.x, of_b - of_A)
        # The times of a race choose the solver; MKL does not promise the same bits.
        bits = not isinstance(solver, Auto) and getattr(solver, "library", "") != "pardiso"
        if of_b - of_A in (2000, -2000):
            assert found.ledger["status"] == ["failed"] * 3
            assert found.ledger["reason"] == ["not_finite"] * 3
            assert np.isnan(found.x).all()
            continue
        assert found.ledger["status"] == ["ok"] * 3
        assert max(found.ledger["residual"]) <= 1e-9
        if bits:
            assert np.array_equal(found.x, expected)
            assert found.ledger["residual"] == plain.ledger["residual"]
        assert np.allclose(shifted(found.x, of_A - of_b), plain.x, rtol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS[:-1], ids=lambda s: "-".join(map(str, list(s.model_dump().values())[:3])))
@given(st.floats(-322, 304), st.floats(-322, 306), st.sampled_from(["stencil", "complex", "matrices"]))
@example(0.0, -165.0, "stencil")
@example(0.0, 165.0, "stencil")
@example(160.0, 0.0, "matrices")
@example(-318.0, -316.0, "complex")
@settings(max_examples=12, deadline=None)
def test_an_answer_called_good_is_good_in_any_unit(solver, of_A, of_b, kind):
    systems = FLOWS[kind].take(slice(1))
    if solver.unfit(systems):
        return
    operators, s, t = systems.operators, np.longdouble(10) ** of_A, np.longdouble(10) ** of_b
    field = "coefficients" if isinstance(operators, Stencil) else "values"
    values = getattr(operators, field)
    wide = np.clongdouble if values.dtype.kind == "c" else np.longdouble
    moved = replace(operators, **{field: (values.astype(wide) * s).astype(values.dtype)})
    rhs = (systems.rhs.astype(wide) * t).astype(systems.rhs.dtype)
    found, _ = solver.solve(Systems(moved, rhs), rtol=1e-9)
    status = found.ledger["status"][0]
    if status == "ok":
        check(moved.csr(0).toarray(), rhs[0].ravel(), found.x[0].ravel(), 0, 1e-9)
    # Where matrix, right-hand side and answer are normal numbers there is one.
    if all(-300 < e < 300 for e in (of_A, of_b, of_b - of_A - 3)):
        assert status == "ok"


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: "-".join(map(str, list(s.model_dump().values())[:3])))
@pytest.mark.parametrize("bad", [np.nan, np.inf, "subnormal", "huge guess", "guess that is not finite"])
def test_one_sample_of_a_block_fails_or_is_mended_alone(solver, bad, caplog):
    systems = FLOWS["stencil"]
    rhs, guess = systems.rhs.copy(), np.zeros_like(systems.rhs)
    if bad == "subnormal":
        rhs[1] = shifted(rhs[1], -1070)
    elif isinstance(bad, str):
        guess[1] = np.nan if "finite" in bad else 1e200
    else:
        rhs[1, 3, 3] = bad
    given = Systems(systems.operators, rhs, guess)
    with caplog.at_level(logging.INFO):
        found, carry = solver.solve(given, rtol=1e-8)
    statuses = found.ledger["status"]
    assert (statuses[0], statuses[2]) == ("ok", "ok")
    for i in (0, 2):
        assert relative_residual(systems.operators, i, found.x[i].ravel(), rhs[i].ravel()) <= 1e-8
    if isinstance(bad, str) and "guess" in bad:
        assert statuses[1] == "ok"
        assert "system 1: its first guess" in caplog.text
    elif bad == "subnormal":
        # Four bits are left of x: whatever it is called, it is called so for what can be stored.
        true = relative_residual(systems.operators, 1, np.nan_to_num(found.x[1]).ravel(), rhs[1].ravel())
        assert (statuses[1] == "ok") == (true <= 1e-8)
    else:
        assert (statuses[1], found.ledger["reason"][1]) == ("failed", "not_finite")
        assert np.isnan(found.x[1]).all()
    again, _ = solver.solve(systems, rtol=1e-8, carry=carry)
    assert again.ledger["status"] == ["ok"] * 3


@pytest.mark.parametrize("kind", ["stencil", "constant"])
def test_a_system_that_is_not_finite_says_nothing_of_the_candidates(kind, caplog):
    systems = FLOWS[kind]
    rhs = systems.rhs.copy()
    rhs[0, 2, 2] = np.nan
    auto = Auto(candidates=(Krylov(method="cg", preconditioner="icc"), Direct(library="superlu")), probe=2)
    for batches in (Systems(systems.operators, rhs), [Systems(systems.operators, rhs), systems]):
        _, record = auto.choose(batches, 1e-8)
        assert [row.missed for row in record.tried] == [0, 0]
    assert "no candidate" not in caplog.text


def test_samples_in_different_units_share_a_block():
    systems = FLOWS["stencil"]
    powers = np.array([0, 600, -600])
    rhs = np.stack([shifted(b, p) for b, p in zip(systems.rhs, (0, 0, 700), strict=True)])
    for solver in SOLVERS:
        plain, _ = solver.solve(systems, rtol=1e-8)
        found, _ = solver.solve(Systems(systems.operators.scaled(powers), rhs), rtol=1e-8)
        if solver.unfit(systems):
            continue
        assert found.ledger["status"][:2] == ["ok"] * 2
        assert np.allclose(shifted(found.x[1], 600), plain.x[1], rtol=1e-5)
        # x of the third is beyond the range.
        assert found.ledger["status"][2] == "failed"


def test_a_matrix_whose_entries_lie_far_apart_keeps_them():
    A = sp.csr_array(np.diag([1e-200, 1.0, 1e200]))
    values = np.broadcast_to(A.data, (2, 3))
    for rows in (values, np.array(values)):
        systems = Systems(Matrices(rows, Matrices.pattern_of(A), (3,)), np.array(values))
        found, _ = Direct(library="superlu").solve(systems, rtol=1e-10)
        assert found.ledger["status"] == ["ok", "ok"]
        assert found.x == pytest.approx(np.ones((2, 3)))
    line = np.zeros((1, 3, 8))
    line[0, 0] = np.geomspace(1e-200, 1e200, 8)
    for solver in SOLVERS:
        systems = Systems(Stencil(line, symmetric=True, definite=True), np.full((1, 8), 1e-170))
        if not solver.unfit(systems):
            found, _ = solver.solve(systems, rtol=1e-8)
            if found.ledger["status"] == ["ok"]:
                check(systems.operators.csr(0).toarray(), systems.rhs[0], found.x[0], 0, 1e-8)


def test_the_true_residual_is_measured_in_all_units():
    systems = FLOWS["stencil"]
    x = Direct().solve(systems, rtol=1e-12)[0].x[0].ravel() * (1 + 1e-5)
    b = systems.rhs[0].ravel()
    plain = relative_residual(systems.operators, 0, x, b)
    assert 1e-6 < plain < 1e-3
    for of_A, of_b in POWERS[:-2]:
        operators = systems.operators.scaled(np.full(3, of_A))
        y, c = shifted(x, of_b - of_A), shifted(b, of_b)
        assert relative_residual(operators, 0, y, c) == pytest.approx(plain, rel=1e-12)
    zero = np.zeros_like(b)
    assert relative_residual(systems.operators, 0, shifted(x, -700), zero) == np.inf
    assert relative_residual(systems.operators, 0, zero, zero) == 0.0
    assert relative_residual(systems.operators, 0, zero, shifted(b, 900)) == pytest.approx(1.0)
    assert np.isnan(relative_residual(systems.operators, 0, zero * np.nan, b))


@pytest.mark.parametrize("problem", [Poisson(shape=SHAPE), Elliptic(shape=SHAPE)], ids=lambda p: p.kind)
def test_a_problem_in_other_units_has_the_same_residual(problem):
    inputs = {name: field.astype(np.float64) for name, field in problem.draw(0, np.arange(2)).items()}
    scale = 2.0**-560
    if problem.kind == "elliptic":
        # So small that what grows with u is nothing.
        moved = inputs | {"f": inputs["f"] * scale}
    else:
        moved = {name: field * scale for name, field in inputs.items()}
    fields, ledger = simulate(problem, moved, Direct(), 1e-10)
    assert ledger["status"] == ["ok", "ok"]
    assert np.all(fields["u"].any(axis=(1, 2)))
    residual = problem.residual(moved, fields)
    assert np.all(residual <= 1e-7)
    assert problem.residual(moved, {"u": 0 * fields["u"]}) == pytest.approx(np.ones(2))


def test_disturbed_answers_in_other_units():
    problem = Poisson(shape=SHAPE)
    inputs = {name: field.astype(np.float64) for name, field in problem.draw(0, np.arange(2)).items()}
    moved = {name: shifted(field, -600) for name, field in inputs.items()}
    plain, other = disturbed(problem, inputs, 1e-3)["u"], disturbed(problem, moved, 1e-3)["u"]
    assert np.allclose(shifted(other, 600), plain, rtol=1e-10)


def test_guesses_of_moderate_size_are_not_touched():
    systems = FLOWS["stencil"]
    given = replace(systems, guess=np.ones_like(systems.rhs))
    balanced, shifts, finite = given.balanced()
    assert balanced is given
    assert not shifts.any()
    assert finite.all()
