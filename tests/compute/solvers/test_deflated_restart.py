"""GCRO-DR without a carried space against GMRES-DR, dense and by the book."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg as la

from ritz.compute.solvers.krylov import gcrodr

N = 90


def matrix(kind):
    """Matrices on which restarts hurt: small eigenvalues apart from the rest."""
    rng = np.random.default_rng(8)
    noise = rng.standard_normal((N, N)) / np.sqrt(N)
    values = np.r_[np.linspace(0.01, 0.2, 6), np.linspace(0.5, 4, N - 6)]
    if kind == "symmetric":
        q = la.qr(noise)[0]
        return q @ np.diag(values) @ q.T
    if kind == "real":
        return np.diag(values) + 0.05 * np.triu(noise, 1)
    return np.diag(values * np.exp(0.5j)) + 0.1 * (noise + 1j * noise.T)


def gmres_dr(A, b, m, k, cycles):
    """Residual norms after every cycle of GMRES-DR(m, k).

    R. Morgan, "GMRES with deflated restarting", SIAM J. Sci. Comput. 24 (2002): the harmonic Ritz vectors of the last
    cycle and the residual of its least-squares problem span the beginning of the next, and the Arnoldi process goes
    on from there.
    """
    n, x, r = len(b), np.zeros(len(b), dtype=A.dtype), b
    V, H = np.zeros((n, m + 1), dtype=A.dtype), np.zeros((m + 1, m), dtype=A.dtype)
    V[:, 0] = r / la.norm(r)
    start, norms = 0, []
    for _ in range(cycles):
        for j in range(start, m):
            w = A @ V[:, j]
            for _ in range(3):
                h = V[:, : j + 1].conj().T @ w
                H[: j + 1, j] += h
                w = w - V[:, : j + 1] @ h
            H[j + 1, j] = la.norm(w)
            V[:, j + 1] = w / H[j + 1, j]
        c = V.conj().T @ r
        y = la.lstsq(H, c)[0]
        x = x + V[:, :m] @ y
        rest = c - H @ y
        r = b - A @ x
        norms.append(la.norm(r))
        square, last = H[:m], H[m, m - 1]
        ritz = square + abs(last) ** 2 * np.outer(la.solve(square.conj().T, np.eye(m)[:, -1]), np.eye(m)[-1])
        values, vectors = la.eig(ritz)
        order = np.argsort(np.abs(values))
        kept = k
        if not np.iscomplexobj(A):
            # A conjugate pair stays together.
            kept -= bool(np.isclose(abs(values[order[k - 1]]), abs(values[order[k]]), rtol=1e-10))
            vectors = np.hstack([vectors[:, order[:kept]].real, vectors[:, order[:kept]].imag])
            G = la.svd(vectors, full_matrices=False)[0][:, :kept]
        else:
            G = la.qr(vectors[:, order[:kept]], mode="economic")[0]
        P = la.qr(np.column_stack([np.vstack([G, np.zeros((1, kept))]), rest]), mode="economic")[0]
        small = P.conj().T @ H @ P[:m, :kept]
        V[:, : kept + 1] = V @ P
        V[:, kept + 1 :] = 0
        H[:] = 0
        H[: kept + 1, :kept] = small
        start = kept
    return np.array(norms)


@pytest.mark.parametrize("kind", ["symmetric", "real", "complex"])
@pytest.mark.parametrize(("m", "k"), [(12, 4), (15, 6), (10, 1)])
def test_cold_gcrodr_is_gmres_dr_residual_by_residual(kind, m, k):
    A = matrix(kind)
    b = np.random.default_rng(1).standard_normal(N).astype(A.dtype)
    expected = gmres_dr(A, b, m, k, 12)
    found: list[float] = []
    gcrodr(A, b, rtol=1e-14, restart=m, recycle=k, maxiter=12, callback=lambda x: found.append(la.norm(b - A @ x)))
    # Far down, rounding is what both are left with.
    compared = int(np.sum(expected > 1e-9 * la.norm(b)))
    assert compared >= 5
    assert found[:compared] == pytest.approx(expected[:compared], rel=1e-5)
    assert expected[compared - 1] < 0.05 * la.norm(b)
