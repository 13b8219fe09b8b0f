"""Conjugate gradients and BiCGStab: SciPy's iterates, and outcomes that are stated."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg as la
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from ritz.compute.solvers.krylov import bicgstab, cg

N = 60
PEERS = {cg: spla.cg, bicgstab: spla.bicgstab}
SOLVERS = [cg, bicgstab]
DTYPES = [np.float64, np.complex128, np.float32, np.complex64]


def definite(dtype, n=N, condition=10.0, seed=0):
    """A Hermitian positive definite matrix with eigenvalues between 1 and ``condition``."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if np.dtype(dtype).kind == "c" else 0)
    q = la.qr(noise)[0]
    A = (q * np.geomspace(1, condition, n)) @ q.conj().T
    return ((A + A.conj().T) / 2).astype(dtype)


def matrix(solve, dtype):
    """What a solver is made for: a Hermitian matrix, or for bicgstab one that is not."""
    A = definite(dtype)
    if solve is bicgstab:
        A = A + np.triu(np.ones((N, N)), 1).astype(dtype) * (0.2j if A.dtype.kind == "c" else 0.2)
    return A.astype(dtype)


def vector(dtype, seed=1):
    rng = np.random.default_rng(seed)
    b = rng.standard_normal(N) + (1j * rng.standard_normal(N) if np.dtype(dtype).kind == "c" else 0)
    return b.astype(dtype)


def diagonal_inverse(A):
    return np.diag(1 / np.diag(A).real).astype(A.dtype)


def traced(solve, *arguments, **options):
    iterates = []
    x, info = solve(*arguments, callback=lambda x: iterates.append(x.copy()), **options)
    return x, info, iterates


@pytest.mark.parametrize("solve", SOLVERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("guessed", [False, True])
def test_iterates_count_and_info_are_those_of_scipy(solve, dtype, preconditioned, guessed):
    A, b = matrix(solve, dtype), vector(dtype)
    single = np.dtype(dtype).char in "fF"
    options = {"rtol": 1e-3 if single else 1e-7, "M": diagonal_inverse(A) if preconditioned else None}
    options["x0"] = vector(dtype, seed=2) if guessed else None
    x, info, ours = traced(solve, A, b, **options)
    y, expected, theirs = traced(PEERS[solve], A, b, **options)
    assert (info, len(ours)) == (expected, len(theirs))
    assert info == 0
    assert len(ours) > 5
    assert x.dtype == y.dtype == dtype
    assert x.shape == y.shape
    close = 1e-3 if single else 1e-8
    for one, other in zip(ours, theirs, strict=True):
        assert la.norm(one - other) <= close * la.norm(other)
    assert la.norm(x - y) <= close * la.norm(y)


@pytest.mark.parametrize("solve", SOLVERS)
@pytest.mark.parametrize("maxiter", [1, 4, 9])
def test_maxiter_is_the_info_of_scipy(solve, maxiter):
    A, b = matrix(solve, float), vector(float)
    x, info, ours = traced(solve, A, b, rtol=1e-12, maxiter=maxiter)
    y, expected, theirs = traced(PEERS[solve], A, b, rtol=1e-12, maxiter=maxiter)
    assert info == expected == maxiter
    assert len(ours) == len(theirs) == maxiter
    assert x == pytest.approx(y, rel=1e-9)
    assert np.array_equal(ours[-1], x)


@pytest.mark.parametrize("solve", SOLVERS)
def test_convergence_in_the_last_iteration_allowed_is_convergence(solve):
    A, b = matrix(solve, float), vector(float)
    needed = len(traced(solve, A, b, rtol=1e-6)[2])
    # BiCGStab may end in the middle of an iteration, for which there is no call.
    found = [solve(A, b, rtol=1e-6, maxiter=needed + extra)[1] for extra in (-1, 0, 1)]
    assert found[0] == needed - 1
    assert found[2] == 0
    assert found[1] in (0, needed)
    assert (solve is cg) <= (found[1] == 0)


@pytest.mark.parametrize("solve", SOLVERS)
@pytest.mark.parametrize("form", ["dense", "csr", "csc", "operator"])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_every_form_of_input_is_solved_to_the_tolerance(solve, form, dtype):
    dense, b = matrix(solve, dtype), vector(dtype)
    A = {"dense": np.asarray, "csr": sp.csr_array, "csc": sp.csc_array, "operator": spla.aslinearoperator}[form](dense)
    x, info = solve(A, b[:, None], rtol=1e-10)
    assert info == 0
    assert x.shape == (N,)
    assert la.norm(b - dense @ x) <= 1e-10 * la.norm(b)


@pytest.mark.parametrize("solve", SOLVERS)
def test_mixed_types_give_the_common_one(solve):
    A = matrix(solve, float)
    assert solve(A, np.ones(N, dtype=int))[0].dtype == np.float64
    assert solve(A, vector(complex))[0].dtype == np.complex128
    assert solve(A, vector(np.float32))[0].dtype == np.float64


@pytest.mark.parametrize("solve", SOLVERS)
def test_the_true_residual_reaches_the_tolerance_where_the_recurrence_is_far_from_it(solve):
    # What rounding adds to the residual at such a guess stays in x when the recurrence goes below it.
    A, b, guess = matrix(solve, float), vector(float), 1e10 * vector(float, 3)
    y, told = PEERS[solve](A, b, x0=guess, rtol=1e-9)
    assert told == 0
    assert la.norm(b - A @ y) > 1e-8 * la.norm(b)
    x, info = solve(A, b, x0=guess, rtol=1e-9)
    assert info == 0
    assert la.norm(b - A @ x) <= 1e-9 * la.norm(b)


@pytest.mark.parametrize("solve", SOLVERS)
@pytest.mark.parametrize("rtol", [1e-7, 1e-15, 0.0])
def test_info_tells_the_truth_of_an_ill_conditioned_system(solve, rtol):
    A, b = definite(float, condition=1e9), vector(float)
    x, info = solve(A, b, rtol=rtol, maxiter=3000)
    assert np.isfinite(x).all()
    assert (info == 0) <= (la.norm(b - A @ x) <= rtol * (1 + 1e-6) * la.norm(b))


@pytest.mark.parametrize("solve", SOLVERS)
def test_the_absolute_tolerance(solve):
    A, b = matrix(solve, float), vector(float)
    x, info = solve(A, b, rtol=1e-14, atol=1e-2)
    assert info == 0
    assert 1e-5 < la.norm(b - A @ x) <= 1e-2


@pytest.mark.parametrize("solve", SOLVERS)
def test_zero_right_hand_side_gives_zero_as_in_scipy(solve):
    for one in (solve, PEERS[solve]):
        x, info, calls = traced(one, matrix(solve, float), np.zeros(N), x0=np.ones(N))
        assert info == 0
        assert not x.any()
        assert calls == []


@pytest.mark.parametrize("solve", SOLVERS)
def test_a_good_guess_is_returned_as_it_is(solve):
    A, b = matrix(solve, float), vector(float)
    exact = la.solve(A, b)
    guess = exact.copy()
    x, info, calls = traced(solve, A, b, x0=guess)
    assert info == 0
    assert np.array_equal(x, exact)
    assert calls == []
    x[0] = 7
    assert np.array_equal(guess, exact)


@pytest.mark.parametrize("solve", SOLVERS)
def test_the_guess_can_be_the_preconditioned_right_hand_side(solve):
    A, b = matrix(solve, float), vector(float)
    x, info, calls = traced(solve, A, b, x0="Mb", M=la.inv(A))
    assert (info, calls) == (0, [])
    assert x == pytest.approx(la.solve(A, b), rel=1e-9)


@pytest.mark.parametrize("solve", SOLVERS)
def test_a_singular_consistent_system_is_solved(solve):
    q = la.qr(np.random.default_rng(0).standard_normal((30, 30)))[0]
    A = q @ np.diag(np.r_[np.zeros(3), np.linspace(1, 4, 27)]) @ q.T
    b = A @ np.ones(30)
    x, info = solve(A, b, rtol=1e-9)
    assert info == 0
    assert la.norm(b - A @ x) <= 1e-9 * la.norm(b)


@pytest.mark.parametrize("solve", SOLVERS)
def test_a_singular_inconsistent_system_never_converges(solve):
    A = np.diag(np.r_[0.0, np.linspace(1, 2, 9)])
    x, info = solve(A, np.ones(10), rtol=1e-8, maxiter=200)
    assert info < 0
    assert la.norm(x) < 1e16


def test_an_indefinite_matrix_is_a_breakdown_of_cg():
    A = np.diag(np.r_[-np.linspace(1, 2, 5), np.linspace(1, 2, 5)])
    b = np.r_[np.full(5, 0.4), np.ones(5)]
    x, info, calls = traced(cg, A, b, rtol=1e-12)
    assert info == -1
    assert np.isfinite(x).all()
    # The curvature of the first direction is positive; a later one shows the negative eigenvalues.
    assert 0 < len(calls) < 10
    assert bicgstab(A, b, rtol=1e-8)[1] == 0


def test_a_direction_without_curvature_is_a_breakdown_of_cg():
    x, info = cg(np.diag([1.0, -1.0]), np.ones(2))
    assert info == -1
    assert not x.any()


def test_cg_takes_a_negative_definite_matrix_as_scipy_does():
    A, b = -definite(float), vector(float)
    x, info, ours = traced(cg, A, b, rtol=1e-9)
    y, expected, theirs = traced(spla.cg, A, b, rtol=1e-9)
    assert (info, expected, len(ours)) == (0, 0, len(theirs))
    assert x == pytest.approx(y, rel=1e-7)


def test_a_preconditioner_that_is_not_definite_is_a_breakdown_of_cg():
    A, b = definite(float), vector(float)
    assert cg(A, b, M=np.diag(np.where(np.arange(N) < 50, 1.0, -1e3)))[1] == -1


def test_the_breakdowns_of_bicgstab_have_the_info_of_scipy():
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    b = np.array([1.0, 0.0])
    assert bicgstab(turn, b)[1] == spla.bicgstab(turn, b)[1] == -11
    A, b = np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]), np.array([1.0, 0.0, 0.0])
    assert bicgstab(A, b)[1] == spla.bicgstab(A, b)[1] < 0


@pytest.mark.parametrize("scale", [2.0**-460, 2.0**-60, 2.0**400])
def test_breakdown_does_not_depend_on_the_scale(scale):
    A, b = matrix(bicgstab, float), vector(float)
    counts = [len(traced(bicgstab, A, factor * b, rtol=1e-9)[2]) for factor in (1.0, scale)]
    assert counts[0] == counts[1] > 5
    assert bicgstab(A, scale * b, rtol=1e-9)[1] == 0


@pytest.mark.parametrize("solve", SOLVERS)
def test_an_operator_that_gives_nan_is_a_breakdown(solve):
    A = spla.LinearOperator((4, 4), matvec=lambda _: np.full(4, np.nan), dtype=float)
    x, info = solve(A, np.ones(4))
    assert info == -1
    assert np.isfinite(x).all()
    M = spla.LinearOperator((4, 4), matvec=lambda _: np.full(4, np.nan), dtype=float)
    assert solve(np.eye(4) + np.diag(np.ones(3), 1), np.ones(4), M=M)[1] == -1


@pytest.mark.parametrize("solve", SOLVERS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"A": np.ones((3, 4))}, r"A has shape \(3, 4\)"),
        ({"b": np.ones(5)}, r"b has shape \(5,\)"),
        ({"b": np.ones((4, 2))}, r"b has shape \(4, 2\)"),
        ({"x0": np.ones(3)}, r"x0 has shape \(3,\)"),
        ({"M": np.eye(3)}, r"M has shape \(3, 3\)"),
        ({"b": np.array([1, np.nan, 1, 1])}, "b has entries"),
        ({"A": np.diag([1, 2, np.nan, 4])}, "A has entries"),
        ({"rtol": -1.0}, "rtol is -1.0"),
        ({"atol": np.nan}, "atol is nan"),
        ({"atol": None}, "atol is None"),
        ({"atol": "legacy"}, "atol is 'legacy'"),
        ({"rtol": None}, "rtol is None"),
        ({"maxiter": 0}, "maxiter is 0"),
    ],
)
def test_bad_input_is_refused_by_name(solve, change, message):
    arguments = {"A": np.diag([1.0, 2, 3, 4]), "b": np.ones(4)} | change
    with pytest.raises(ValueError, match=message):
        solve(**arguments)
