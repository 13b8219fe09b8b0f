from __future__ import annotations

import numpy as np
import scipy.linalg as la
from scipy.sparse.linalg import LinearOperator


def image(A: LinearOperator, M: LinearOperator | None, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a basis to an operator: find ``U`` of the same span with ``C = A M U`` orthonormal.

    Parameters
    ----------
    A, M
        Operator and right preconditioner, None for none.
    basis
        ``(n, k)`` vectors. Directions in which ``A M`` has no image to working precision are dropped.

    Returns
    -------
    C, U
        ``(n, r)`` each, ``r <= k``.
    """
    norms = np.linalg.norm(basis, axis=0)
    basis = basis[:, norms > 0] / norms[norms > 0]
    Y = A.matmat(basis if M is None else M.matmat(basis)).astype(basis.dtype, copy=False)
    if not np.isfinite(Y).all():
        return basis[:, :0], basis[:, :0]
    C, transform = orthonormalise(Y)
    return C, (transform.T @ basis.T).T


def orthonormalise(Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find ``T`` such that the columns of ``Q = Y T`` are an orthonormal basis of the span of ``Y``.

    Two rounds of Cholesky QR, which is all matrix products; pivoted Householder QR where the columns are
    nearly dependent.

    Parameters
    ----------
    Y
        ``(n, k)`` vectors.

    Returns
    -------
    Q, T
        ``(n, r)`` and ``(k, r)`` with r the numerical rank of ``Y``.
    """
    eps = np.finfo(Y.dtype).eps
    if Y.shape[1] == 0:
        return Y, np.zeros((0, 0), dtype=Y.dtype)
    Q, T = Y, np.eye(Y.shape[1], dtype=Y.dtype)
    try:
        for _ in range(2):
            L = la.cholesky(Q.conj().T @ Q, lower=False, check_finite=False)
            diagonal = np.abs(np.diag(L))
            if diagonal.min() < np.sqrt(eps) * 10 * diagonal.max():
                raise la.LinAlgError("nearly dependent columns")
            inverse = la.solve_triangular(L, np.eye(len(L), dtype=Y.dtype), check_finite=False)
            Q, T = (inverse.T @ Q.T).T, T @ inverse
        return Q, T
    except la.LinAlgError:
        Q, R, pivots = la.qr(Y, mode="economic", pivoting=True, check_finite=False)
        diagonal = np.abs(np.diag(R))
        rank = int(np.sum(diagonal > eps * max(Y.shape) * diagonal[0]))
        T = np.zeros((Y.shape[1], rank), dtype=Y.dtype)
        T[pivots[:rank]] = la.solve_triangular(R[:rank, :rank], np.eye(rank, dtype=Y.dtype))
        return Q[:, :rank], T


def harmonic(G: np.ndarray, F: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Find the harmonic Ritz vectors of least modulus of a projected operator.

    For ``B V = W G`` with orthonormal ``W`` and ``F = Wᴴ V``, the harmonic Ritz pairs ``(θ, V z)`` satisfy
    ``Gᴴ G z = θ Gᴴ F z``. With ``G = Q R`` and ``s = R z`` this is ``Qᴴ F R⁻¹ s = θ⁻¹ s``, a standard
    eigenvalue problem; and for orthonormal ``s`` the images ``B V z = W Q s`` are orthonormal again.

    Parameters
    ----------
    G, F
        ``(p, q)``, ``p >= q``.
    count
        How many vectors are wanted. One less is given where a conjugate pair of a real problem would be cut.

    Returns
    -------
    of_W, of_V
        ``(p, c)`` and ``(q, c)``: ``C = W of_W`` is orthonormal and equals ``B U`` for ``U = V of_V``.
        None if ``G`` is singular to working precision.
    """
    Q, R = la.qr(G, mode="economic", check_finite=False)
    reciprocal_condition, _ = la.get_lapack_funcs("trcon", (R,))(R)
    if not reciprocal_condition > 100 * len(R) * np.finfo(G.dtype).eps:
        return None
    S = la.solve_triangular(R, (Q.conj().T @ F).conj().T, trans="C", check_finite=False).conj().T
    values, vectors = la.eig(S, check_finite=False)
    order = np.argsort(-np.abs(values), kind="stable")
    count = min(count, len(order))
    leading = vectors[:, order[:count]]
    chosen = leading if G.dtype.kind == "c" else _real_basis(values[order], vectors[:, order], count)
    s, _ = orthonormalise(chosen.astype(G.dtype, copy=False))
    return Q @ s, la.solve_triangular(R, s, check_finite=False)


def _real_basis(values: np.ndarray, vectors: np.ndarray, count: int) -> np.ndarray:
    """Return real vectors that span at most ``count`` leading eigenvectors, conjugate pairs kept together."""
    columns: list[np.ndarray] = []
    for value, vector in zip(values, vectors.T, strict=True):
        if value.imag == 0 and len(columns) < count:
            columns.append(vector.real)
        elif value.imag > 0:
            if len(columns) + 2 > count:
                break
            columns += [vector.real, vector.imag]
        elif len(columns) >= count:
            break
    return np.stack(columns, axis=1) if columns else vectors[:, :0].real
