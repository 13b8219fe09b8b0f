from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.linalg as la
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from hypothesis import given, settings
from hypothesis import strategies as st

from ritz.compute.solvers.iterative.recycler import Recycler
from ritz.compute.solvers.krylov import gcrodr, gmres

N = 80


def matrix(kind, n=N, seed=0):
    """Dense matrices that no solver with short restarts finds easy, by kind."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, n)) / np.sqrt(n)
    if kind == "real":
        return np.diag(np.linspace(0.3, 5, n)) + 0.4 * noise
    if kind == "symmetric":
        q = la.qr(noise)[0]
        return q @ np.diag(np.geomspace(0.02, 1, n)) @ q.T
    return np.diag(np.linspace(0.3, 5, n) * np.exp(0.7j)) + 0.3 * (noise + 1j * noise[::-1])


KINDS = ("real", "symmetric", "complex")


def vector(kind, n=N, seed=1):
    b = np.random.default_rng(seed).standard_normal(n)
    return b * np.exp(1j * np.arange(n)) if kind == "complex" else b


def approximate_inverse(A):
    """A preconditioner that is neither symmetric nor exact."""
    return la.inv(np.diag(np.diag(A)) + 0.5 * np.triu(A, 1))


def krylov_basis(B, r, steps, C=None):
    """Orthonormal basis of the Krylov space of ``(I − C Cᴴ) B`` from ``r``, by repeated QR."""
    V = [r / la.norm(r)]
    for _ in range(steps - 1):
        w = B @ V[-1]
        for _ in range(3):
            for v in V if C is None else [*C.T, *V]:
                w = w - v * np.vdot(v, w)
        V.append(w / la.norm(w))
    return np.array(V).T


def least_residual(B, space, r):
    """Correction within ``space`` that makes ``‖r − B t‖`` least."""
    return space @ la.lstsq(B @ space, r)[0]


def reference(A, b, M, restart, recycle, cycles):
    """Residual norms after every cycle of GCRO-DR, computed densely from its definition."""
    B, k = A @ M, recycle
    t, U = np.zeros(len(b), dtype=B.dtype), None
    norms = []
    for _ in range(cycles):
        r = b - B @ t
        if U is None:
            space = krylov_basis(B, r, restart)
        else:
            C = la.qr(B @ U, mode="economic")[0]
            r = r - C @ (C.conj().T @ r)
            space = np.hstack([U, krylov_basis(B, r, restart - U.shape[1], C)])
        t = t + least_residual(B, space, b - B @ t)
        norms.append(la.norm(b - B @ t))
        if k:
            Z = la.qr(space, mode="economic")[0]
            Y = B @ Z
            values, vectors = la.eig(Y.conj().T @ Y, Y.conj().T @ Z)
            order = np.argsort(np.abs(values))
            keep = k
            if not np.iscomplexobj(A) and np.isclose(abs(values[order[k - 1]]), abs(values[order[k]]), rtol=1e-8):
                keep = k - 1
            U = Z @ vectors[:, order[:keep]]
            if not np.iscomplexobj(A):
                U = la.svd(np.hstack([U.real, U.imag]), full_matrices=False)[0][:, :keep]
    return np.array(norms)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("restart", [5, 12])
def test_gmres_and_gcrodr_without_recycling_are_restarted_gmres_iterate_for_iterate(kind, preconditioned, restart):
    A, b = matrix(kind), vector(kind)
    M = approximate_inverse(A) if preconditioned else np.eye(N)
    x, iterates, expected = np.zeros(N, dtype=A.dtype), [], []
    for _ in range(4):
        r = b - A @ x
        V = krylov_basis(A @ M, r, restart)
        for j in range(1, restart + 1):
            step = M @ least_residual(A @ M, V[:, :j], r)
            expected.append(la.norm(b - A @ (x + step)) / la.norm(b))
        x = x + step
        iterates.append(x)
    norms: list[float] = []
    gmres(A, b, rtol=1e-15, restart=restart, maxiter=4, M=M, callback=norms.append, callback_type="pr_norm")
    expected = [norm for norm in expected if norm > 1e-12]
    assert norms[: len(expected)] == pytest.approx(expected, rel=1e-8)
    for solve in (
        lambda f: gmres(A, b, rtol=1e-15, restart=restart, maxiter=4, M=M, callback=f, callback_type="x"),
        lambda f: gcrodr(A, b, rtol=1e-15, restart=restart, recycle=0, maxiter=4, M=M, callback=f),
    ):
        found: list[np.ndarray] = []
        solve(found.append)
        assert np.array(found) == pytest.approx(np.array(iterates[: len(found)]), rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_gmres_has_the_residuals_and_info_of_scipy(kind):
    A, b = matrix(kind), vector(kind)
    for rtol, maxiter in ((1e-9, 200), (1e-9, 3), (1e-2, 1)):
        ours: list[float] = []
        theirs: list[float] = []
        options: dict[str, Any] = {"rtol": rtol, "restart": 8, "maxiter": maxiter, "callback_type": "pr_norm"}
        x, info = gmres(A, b, callback=ours.append, **options)
        y, expected = spla.gmres(A, b, callback=theirs.append, **options)
        assert info == expected
        assert ours[:30] == pytest.approx(theirs[:30], rel=1e-7)
        assert la.norm(x - y) <= 1e3 * rtol * la.norm(y)


def test_the_legacy_callback_counts_steps_and_warns_as_scipy_does():
    A, b = matrix("real"), vector("real")
    results = []
    for solve in (gmres, spla.gmres):
        norms: list[float] = []
        with pytest.warns(DeprecationWarning, match="called without specifying `callback_type`"):
            x, info = solve(A, b, restart=5, maxiter=13, rtol=1e-14, callback=norms.append)
        assert {type(value) for value in norms} == {np.float64}
        results.append((x, info, norms))
    (x, info, norms), (y, expected, theirs) = results
    assert (info, len(norms)) == (expected, len(theirs)) == (13, 13)
    assert x == pytest.approx(y, rel=1e-8)
    assert norms == pytest.approx(theirs, rel=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize(("restart", "recycle"), [(10, 4), (14, 7), (9, 1)])
def test_gcrodr_has_the_residuals_of_its_definition(kind, preconditioned, restart, recycle):
    A, b = matrix(kind, seed=3), vector(kind)
    M = approximate_inverse(A) if preconditioned else np.eye(N)
    found: list[float] = []
    gcrodr(
        A,
        b,
        rtol=1e-14,
        restart=restart,
        recycle=recycle,
        maxiter=5,
        M=M,
        callback=lambda x: found.append(la.norm(b - A @ x)),
    )
    assert found == pytest.approx(reference(A, b, M, restart, recycle, 5)[: len(found)], rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["dense", "csr", "csc", "operator"])
def test_every_form_of_input_is_solved_to_the_tolerance(kind, form):
    dense, b = matrix(kind), vector(kind)
    A = {
        "dense": lambda: dense,
        "csr": lambda: sp.csr_array(dense),
        "csc": lambda: sp.csc_array(dense),
        "operator": lambda: spla.aslinearoperator(dense),
    }[form]()
    for solve in (gcrodr, gmres):
        x, info = solve(A, b[:, None], rtol=1e-10, restart=30)
        assert info == 0
        assert x.shape == (N,)
        assert x.dtype == dense.dtype
        assert la.norm(b - dense @ x) <= 1e-10 * la.norm(b)


def test_mixed_types_give_the_common_one():
    A = matrix("real")
    assert gcrodr(A, vector("complex"))[0].dtype == np.complex128
    assert gcrodr(A, np.ones(N, dtype=int))[0].dtype == np.float64
    x, info = gcrodr(A.astype(np.float32), np.ones(N, dtype=np.float32), rtol=1e-4)
    assert (x.dtype, info) == (np.float32, 0)
    assert la.norm(1 - A @ x) < 2e-4 * np.sqrt(N)


def test_tolerances_are_of_the_true_residual_whatever_the_preconditioner():
    A, b = matrix("real"), vector("real")
    M = np.diag(np.geomspace(1e-6, 1, N))
    for rtol, atol in ((1e-6, 0.0), (0.0, 1e-4), (1e-9, 1e-2)):
        x, info = gcrodr(A, b, rtol=rtol, atol=atol, restart=60, recycle=10, M=M)
        residual = la.norm(b - A @ x)
        assert info == 0
        assert residual <= max(rtol * la.norm(b), atol)
        assert residual > 1e-4 * max(rtol * la.norm(b), atol)


@pytest.mark.parametrize("solve", [gcrodr, gmres])
def test_zero_right_hand_side_gives_zero(solve):
    x, info = solve(matrix("real"), np.zeros(N), x0=np.ones(N))
    assert info == 0
    assert not x.any()


@pytest.mark.parametrize("solve", [gcrodr, gmres])
def test_a_good_guess_is_returned_as_it_is(solve):
    A, b = matrix("real"), vector("real")
    exact = la.solve(A, b)
    guess = exact.copy()
    calls: list[object] = []
    x, info = solve(A, b, x0=guess, callback=calls.append, **({"callback_type": "x"} if solve is gmres else {}))
    assert info == 0
    assert np.array_equal(x, exact)
    assert calls == []
    x[0] = 7
    assert np.array_equal(guess, exact)


def test_the_guess_can_be_the_preconditioned_right_hand_side():
    A, b = matrix("real"), vector("real")
    x, info = gcrodr(A, b, x0="Mb", M=la.inv(A))
    assert info == 0
    assert x == pytest.approx(la.solve(A, b), rel=1e-9)


@pytest.mark.parametrize("solve", [gcrodr, gmres])
def test_maxiter_is_reported(solve):
    A, b = matrix("symmetric"), vector("symmetric")
    iterates: list[np.ndarray] = []
    options = {"callback_type": "x"} if solve is gmres else {"recycle": 2}
    x, info = solve(A, b, rtol=1e-12, restart=5, maxiter=3, callback=iterates.append, **options)
    assert info == 3
    assert len(iterates) == 3
    assert np.array_equal(iterates[-1], x)
    assert not np.array_equal(iterates[0], iterates[1])
    norms = [la.norm(b - A @ y) for y in iterates]
    assert norms == sorted(norms, reverse=True)


@pytest.mark.parametrize("solve", [gcrodr, gmres])
def test_a_singular_consistent_system_is_solved(solve):
    q = la.qr(np.random.default_rng(0).standard_normal((30, 30)))[0]
    A = q @ np.diag(np.r_[np.zeros(3), np.linspace(1, 4, 27)]) @ q.T
    b = A @ np.ones(30)
    x, info = solve(A, b, rtol=1e-10, restart=40)
    assert info == 0
    assert la.norm(b - A @ x) <= 1e-10 * la.norm(b)


def test_a_singular_inconsistent_system_is_a_breakdown():
    A = np.diag(np.r_[0.0, np.linspace(1, 2, 9)])
    x, info = gcrodr(A, np.ones(10), rtol=1e-8)
    assert info < 0
    assert la.norm(1 - A @ x) == pytest.approx(1, rel=1e-6)
    assert gmres(A, np.ones(10), rtol=1e-8, maxiter=50)[1] == 50


def test_a_shift_matrix_stalls_until_the_space_is_whole():
    A = np.roll(np.eye(12), 1, axis=0)
    b = np.eye(12)[0]
    assert gmres(A, b, restart=5, maxiter=4)[1] == 4
    x, info = gmres(A, b, restart=12)
    assert info == 0
    assert np.array_equal(np.round(x, 12), np.eye(12)[-1])


def test_an_operator_that_gives_nan_is_a_breakdown():
    A = spla.LinearOperator((4, 4), matvec=lambda _: np.full(4, np.nan), dtype=float)
    x, info = gcrodr(A, np.ones(4))
    assert info < 0
    assert np.isfinite(x).all()


@pytest.mark.parametrize("solve", [gcrodr, gmres])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"A": np.ones((3, 4))}, r"A has shape \(3, 4\)"),
        ({"b": np.ones(5)}, r"b has shape \(5,\)"),
        ({"b": np.ones((4, 2))}, r"b has shape \(4, 2\)"),
        ({"x0": np.ones(3)}, r"x0 has shape \(3,\)"),
        ({"x0": "zero"}, "x0 is 'zero'"),
        ({"M": np.eye(3)}, r"M has shape \(3, 3\)"),
        ({"b": np.array([1, np.nan, 1, 1])}, "b has entries"),
        ({"x0": np.array([1, np.inf, 1, 1])}, "x0 has entries"),
        ({"x0": np.ones(4) * 1j}, "x0 is complex"),
        ({"A": np.diag([1, 2, np.nan, 4])}, "A has entries"),
        ({"A": sp.csr_array(np.diag([1, 2, np.nan, 4]))}, "A has entries"),
        ({"M": np.diag([1, 2, np.inf, 4])}, "M has entries"),
        ({"rtol": -1.0}, "rtol is -1.0"),
        ({"atol": np.nan}, "atol is nan"),
        ({"atol": None}, "atol is None"),
        ({"atol": "legacy"}, "atol is 'legacy'"),
        ({"rtol": None}, "rtol is None"),
        ({"restart": 0}, "restart is 0"),
        ({"maxiter": 0}, "maxiter is 0"),
    ],
)
def test_bad_input_is_refused_by_name(solve, change, message):
    arguments = {"A": np.diag([1.0, 2, 3, 4]), "b": np.ones(4)} | change
    with pytest.raises(ValueError, match=message):
        solve(**arguments)


def test_bad_recycling_is_refused_by_name():
    A, b = np.eye(4), np.ones(4)
    with pytest.raises(ValueError, match="recycle is 5"):
        gcrodr(A, b, restart=5, recycle=5)
    with pytest.raises(ValueError, match="vectors of length 3"):
        gcrodr(A, b, recycler=Recycler(np.ones((3, 1))))
    with pytest.raises(ValueError, match="complex vectors"):
        gcrodr(A, b, recycler=Recycler(np.ones((4, 1)) * 1j))
    with pytest.raises(ValueError, match="callback_type is 'y'"):
        gmres(A, b, callback_type="y")


def test_restart_and_recycle_are_cut_to_small_systems():
    A = np.diag([1.0, 2, 3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in (1, 2, 3):
            recycler = Recycler()
            x, info = gcrodr(A[:n, :n], np.ones(n), restart=50, recycle=20, recycler=recycler, rtol=1e-12)
            assert info == 0
            assert x == pytest.approx(1 / np.arange(1, n + 1))
            assert gcrodr(A[:n, :n], np.arange(n) + 1.0, recycler=recycler)[1] == 0


@settings(deadline=None, max_examples=150)
@given(
    n=st.integers(1, 24),
    rank=st.integers(0, 24),
    digits=st.sampled_from([0, 3, 8, 15]),
    is_complex=st.booleans(),
    restart=st.integers(1, 30),
    recycle=st.integers(0, 29),
    seed=st.integers(0, 2**32 - 1),
)
def test_info_tells_the_truth_for_any_matrix(n, rank, digits, is_complex, restart, recycle, seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if is_complex else 0)
    if digits:
        u, _, v = la.svd(A)
        A = u @ np.diag(np.geomspace(1, 10.0**-digits, n) * (np.arange(n) <= rank)) @ v
    recycler = Recycler()
    for _ in range(3):
        b = rng.standard_normal(n) + (1j * rng.standard_normal(n) if is_complex else 0)
        x, info = gcrodr(
            A,
            b,
            rtol=1e-6,
            restart=restart,
            recycle=min(recycle, restart - 1),
            maxiter=20,
            recycler=recycler,
        )
        assert np.isfinite(x).all()
        assert info <= 20
        # Another order of summation gives another residual, by this much.
        rounding = 4 * np.finfo(float).eps * n * la.norm(A) * la.norm(x)
        residual, wanted = la.norm(b - A @ x), 1e-6 * la.norm(b)
        assert residual <= wanted + rounding if info == 0 else residual > wanted - rounding
        assert residual <= la.norm(b) + rounding
        assert la.norm(x) * la.norm(A) * np.finfo(float).eps <= la.norm(b)
        assert recycler.basis is None or np.isfinite(recycler.basis).all()
        A = A + 1e-3 * rng.standard_normal((n, n)) * la.norm(A) / n
