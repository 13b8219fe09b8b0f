"""Krylov functions answer in all units: solve(s A, t b) = (t/s) solve(A, b), or say that there is no answer."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from ritz.compute.solvers.iterative.recycler import Recycler
from ritz.compute.solvers.krylov import bicgstab, cg, gcrodr, gmres
from ritz.compute.solvers.scaling import magnitude, magnitudes, norm, norms, shifted
from tests.compute.solvers.extended import check

FUNCTIONS = {"cg": cg, "bicgstab": bicgstab, "gmres": gmres, "gcrodr": gcrodr}
DTYPES = (np.float32, np.float64, np.complex64, np.complex128)
N = 40


def spring(dtype, n=N):
    """A Hermitian definite matrix of condition 30, with phases along its line where it is complex."""
    A = sp.diags_array([-1.0, 2.3, -1.0], offsets=[-1, 0, 1], shape=(n, n)).toarray().astype(dtype)
    if A.dtype.kind == "c":
        turn = np.exp(0.3j * np.arange(n)).astype(dtype)
        A = (turn[:, None] * A * turn.conj()).astype(dtype)
    return A


def force(dtype, n=N):
    b = np.cos(np.arange(n)).astype(dtype)
    return b * np.exp(0.5j * np.arange(n)).astype(dtype) if b.dtype.kind == "c" else b


def exponents(dtype):
    """Binary exponents of the range of a dtype, its subnormal numbers included."""
    info = np.finfo(dtype)
    return info.minexp - info.nmant // 2, info.maxexp - 4


def asked(form, A):
    """A matrix as dense, sparse, and as an operator that does not show its entries."""
    if form == "operator":
        return LinearOperator(A.shape, matvec=lambda v: A @ v, matmat=lambda V: A @ V, dtype=A.dtype)
    return {"dense": A, "csr": sp.csr_array(A), "lil": sp.lil_array(A)}[form]


@st.composite
def units(draw):
    dtype = draw(st.sampled_from(DTYPES))
    low, high = exponents(dtype)
    return dtype, draw(st.integers(low, high)), draw(st.integers(low, high))


@pytest.mark.parametrize("name", FUNCTIONS)
@given(units(), st.sampled_from(["dense", "csr", "lil", "operator"]), st.booleans(), st.sampled_from([None, 0, 1]))
@example((np.float32, 0, 67), "csr", False, None)
@example((np.float32, 0, -80), "csr", False, None)
@example((np.float64, 0, -548), "csr", False, None)
@example((np.float64, 540, 540), "operator", True, None)
@example((np.complex128, -1060, -1060), "dense", True, 1)
@settings(max_examples=60, deadline=None)
def test_a_function_gives_the_right_answer_in_all_units_or_says_that_it_has_none(name, given, form, preconditioned, x0):
    dtype, of_A, of_b = given
    rtol = 1e-3 if np.finfo(dtype).bits == 32 else 1e-8
    A, b = shifted(spring(dtype), of_A), shifted(force(dtype), of_b)
    with np.errstate(all="ignore"):
        M = None if not preconditioned else aslinearoperator(np.diag(1 / np.diag(A)).astype(dtype))
        # An inverse that the precision does not hold is nobody's preconditioner.
        M = M if M is None or np.isfinite(M @ np.ones(N, dtype)).all() else None
        start = None if x0 is None else shifted(np.ones(N, dtype), of_b - of_A) * dtype(x0)
        start = None if start is None or not np.isfinite(start).all() else start
        x, info = FUNCTIONS[name](asked(form, A), b, start, rtol=rtol, M=M)
    assert x.dtype == dtype
    check(A, b, x, info, rtol)
    info_of_range = np.finfo(dtype)
    if (
        all(info_of_range.minexp + 40 < e < info_of_range.maxexp - 10 for e in (of_A, of_b, of_b - of_A, -of_A))
        and not preconditioned
    ):
        assert info == 0


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("form", ["csr", "operator"])
@pytest.mark.parametrize(("of_A", "of_b"), [(3, 5), (100, -120), (400, -300), (-500, 450), (0, 800), (-900, 0)])
def test_powers_of_two_change_no_bit(name, form, of_A, of_b):
    A, b = spring(np.float64), force(np.float64)
    x, info = FUNCTIONS[name](asked(form, A), b, rtol=1e-10)
    y, same = FUNCTIONS[name](asked(form, shifted(A, of_A)), shifted(b, of_b), rtol=1e-10)
    assert (info, same) == (0, 0)
    if name == "gcrodr":
        # Its projected problem holds the scale of A beside that of its orthonormal basis.
        assert np.allclose(shifted(y, of_A - of_b), x, rtol=1e-9)
    else:
        assert np.array_equal(y, shifted(x, of_b - of_A))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e100, 1e170, 1e300])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_a_guess_of_any_size_is_improved_or_given_up_but_never_believed(name, size, dtype):
    A, b = spring(dtype), force(dtype)
    x, info = FUNCTIONS[name](A, b, np.full(N, size, dtype), rtol=1e-8)
    check(A, b, x, info, 1e-8)
    if size <= 1e100:
        assert info == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_preconditioners_of_any_size_and_their_guess(name):
    A, b = spring(np.float64), force(np.float64)
    for size in (1e-200, 1e200):
        M = np.diag(size / np.diag(A))
        for form in ("dense", "operator"):
            x, info = FUNCTIONS[name](A, b, M=asked(form, M), rtol=1e-8)
            assert info == 0
            check(A, b, x, info, 1e-8)
            x, info = FUNCTIONS[name](A / size, b, "Mb", M=asked(form, M), rtol=1e-8)
            assert info == 0
            check(A / size, b, x, info, 1e-8)


def test_callbacks_see_the_units_of_the_caller():
    A, b = spring(np.float32), shifted(force(np.float32), 70)
    for function in (cg, gcrodr):
        seen: list[np.ndarray] = []
        x, _ = function(A, b, rtol=1e-3, callback=seen.append)
        assert np.array_equal(seen[-1], x)
    seen = []
    x, _ = bicgstab(A, b, rtol=1e-3, maxiter=3, callback=seen.append)
    assert np.array_equal(seen[-1], x)
    norms_seen: list[np.floating] = []
    gmres(A, b, rtol=1e-3, callback=norms_seen.append, callback_type="pr_norm")
    assert all(0 <= value <= 1 for value in norms_seen)


def test_an_absolute_tolerance_is_in_the_units_of_the_caller():
    A, b = spring(np.float32), shifted(force(np.float32), 70)
    whole = norm(b)
    for function in FUNCTIONS.values():
        x, info = function(A, b, rtol=0.0, atol=0.01 * whole)
        assert info == 0
        assert 1e-4 * whole < norm(b - A @ x) <= 0.01 * whole
        assert function(A, b, atol=np.inf) == (pytest.approx(np.zeros(N)), 0)


def test_a_recycled_space_survives_a_change_of_units():
    A, b = spring(np.float64), force(np.float64)
    plain, moved = Recycler(), Recycler()
    for of_A, of_b in ((0, 0), (500, -480), (-600, 300), (0, 700)):
        for recycler, (p, q) in ((plain, (0, 0)), (moved, (of_A, of_b))):
            operator = asked("operator", shifted(A, p))
            x, info = gcrodr(operator, shifted(b, q), rtol=1e-10, restart=12, recycle=4, recycler=recycler)
            assert info == 0
            check(shifted(A, p), shifted(b, q), x, info, 1e-10)
        assert moved.iterations == plain.iterations


@given(st.integers(-1060, 1010), st.sampled_from([np.float64, np.complex128]))
@settings(max_examples=60, deadline=None)
def test_norms_hold_over_the_range(power, dtype):
    x = shifted(force(dtype), power)
    expected = float(np.sqrt(np.sum(np.abs(x.astype(np.clongdouble)) ** 2)))
    assert norm(x) == pytest.approx(expected, rel=1e-13)
    assert norms(np.stack([x, force(dtype)])) == pytest.approx([expected, norm(force(dtype))], rel=1e-13)


def test_norms_of_nothing_and_of_what_is_not_finite():
    assert norm(np.zeros(3)) == 0.0
    assert norm(np.array([1.0, np.inf])) == np.inf
    assert np.isnan(norm(np.array([np.nan, 1.0])))
    assert norm(np.array([], dtype=np.float32)) == 0.0


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_magnitudes_are_those_of_the_rows(dtype):
    x = np.random.default_rng(0).standard_normal((6, 3, 4)).astype(dtype)
    x = x * (1 - 3j) if dtype is np.complex128 else x
    x[1, 2, 0], x[2] = np.nan, 0
    x[3, 0, 0] = -np.inf
    for rows in (x, x[::2], np.broadcast_to(x[:1], x.shape), x[:0], x[:, :0]):
        assert np.array_equal(magnitudes(rows), [magnitude(row) for row in rows], equal_nan=True)
