from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from scipy.sparse.linalg import LinearOperator

from ritz.compute.solvers.scaling import exponent, safe, shifted


@dataclass(frozen=True)
class Space:
    """A recycle space, as far as it is not kept with the Krylov basis.

    Attributes
    ----------
    U
        ``(n, k)`` in Fortran order; ``C = A M U`` is orthonormal.
    overlap
        ``(k, k)`` ``Cᴴ U``.
    """

    U: np.ndarray
    overlap: np.ndarray

    @staticmethod
    def of(C: np.ndarray, U: np.ndarray) -> Space:
        """Return the space of ``U`` with ``C = A M U``."""
        return Space(U, scipy.linalg.get_blas_funcs("gemm", dtype=U.dtype)(1, C, U, trans_a=2))

    @staticmethod
    def empty(like: np.ndarray) -> Space:
        """Return a space without vectors, for vectors of the length and type of the columns of ``like``."""
        return Space(np.empty((len(like), 0), dtype=like.dtype, order="F"), np.empty((0, 0), dtype=like.dtype))


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
    Y = A.matmat(basis if M is None else M.matmat(basis)).astype(basis.dtype, copy=False)
    if not np.isfinite(Y).all():
        return basis[:, :0], basis[:, :0]
    e = exponent(Y)
    e = 0 if safe(e, Y.dtype) else e
    C, transform = orthonormalise(shifted(Y, -e))
    return C, (shifted(transform, -e).T @ basis.T).T


def orthonormalise(Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find ``T`` such that the columns of ``Q = Y T`` are an orthonormal basis of the span of ``Y``.

    Cholesky QR, which is all matrix products, of columns brought to one length; a second round where they are far
    from orthogonal, pivoted Householder QR where they are nearly dependent.

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
    gemm = scipy.linalg.get_blas_funcs("gemm", dtype=Y.dtype)
    try:
        for _ in range(2):
            gram = gemm(1, Q, Q, trans_a=2)
            lengths = np.sqrt(np.diag(gram).real)
            if not lengths.min() > 0:
                raise scipy.linalg.LinAlgError("a column is zero")
            L = scipy.linalg.cholesky(gram / lengths / lengths[:, None], check_finite=False)
            # The sines of the angles between a column and those before it.
            sines = np.abs(np.diag(L))
            if sines.min() < np.sqrt(eps) * 10:
                raise scipy.linalg.LinAlgError("nearly dependent columns")
            transform = (
                scipy.linalg.solve_triangular(L, np.eye(len(L), dtype=Y.dtype), check_finite=False) / lengths[:, None]
            )
            Q, T = gemm(1, Q, transform), T @ transform
            if sines.min() > 0.3:
                break
        return Q, T
    except scipy.linalg.LinAlgError:
        Q, R, pivots = scipy.linalg.qr(Y, mode="economic", pivoting=True, check_finite=False)
        diagonal = np.abs(np.diag(R))
        rank = int(np.sum(diagonal > eps * max(Y.shape) * diagonal[0]))
        T = np.zeros((Y.shape[1], rank), dtype=Y.dtype)
        T[pivots[:rank]] = scipy.linalg.solve_triangular(R[:rank, :rank], np.eye(rank, dtype=Y.dtype))
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
    Q, R = scipy.linalg.qr(G, mode="economic", check_finite=False)
    reciprocal_condition, _ = scipy.linalg.get_lapack_funcs("trcon", (R,))(R)
    if not reciprocal_condition > 100 * len(R) * np.finfo(G.dtype).eps:
        return None
    S = scipy.linalg.solve_triangular(R, (Q.conj().T @ F).conj().T, trans="C", check_finite=False).conj().T
    values, vectors = scipy.linalg.eig(S, check_finite=False)
    order = np.argsort(-np.abs(values), kind="stable")
    count = min(count, len(order))
    leading = vectors[:, order[:count]]
    chosen = leading if G.dtype.kind == "c" else _real_basis(values[order], vectors[:, order], count)
    s, _ = orthonormalise(chosen.astype(G.dtype, copy=False))
    return Q @ s, scipy.linalg.solve_triangular(R, s, check_finite=False)


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
