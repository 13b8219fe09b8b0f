from __future__ import annotations

import numpy as np
import scipy.linalg as la

from compute.solvers.arguments import System, norm
from compute.solvers.deflation import harmonic


class Cycle:
    """One cycle: the Arnoldi process for ``(I − C Cᴴ) A M`` from the residual, and its least-squares problem."""

    def __init__(self, system: System, W: np.ndarray, k: int, r: np.ndarray, limit: int) -> None:
        self.system, self.W, self.k, self.limit = system, W, k, limit
        self.C, self.V = W[:, :k], W[:, k:]
        self.y0 = _adjoint(self.C, r)
        v = r - self.C @ self.y0
        self.beta = norm(v)
        self.estimate = self.beta
        # Projected operator, and the accumulated rotations that make its Hessenberg part triangular.
        self.B = np.zeros((k, limit), dtype=W.dtype)
        self.H = np.zeros((limit + 1, limit), dtype=W.dtype)
        self.R = np.zeros((limit + 1, limit), dtype=W.dtype)
        self.Q = np.eye(limit + 1, dtype=W.dtype)
        self.steps = 0
        self.largest = 0.0
        self.exhausted = False
        if self.beta > 0:
            self.V[:, 0] = v / self.beta
        self.going = self.beta > system.tolerance

    def step(self) -> None:
        """Add one vector to the Krylov basis."""
        j, k, system = self.steps, self.k, self.system
        w = system.A.matvec(system.precondition(self.V[:, j])).astype(self.W.dtype, copy=True)
        before = norm(w)
        self.largest = max(self.largest, before)
        h, after = _orthogonalise(self.W[:, : k + j + 1], w, before)
        self.B[:, j] = h[:k]
        self.H[: j + 1, j] = h[k:]
        eps = np.finfo(self.W.dtype).eps
        self.exhausted = not after > eps * before
        if not self.exhausted:
            self.H[j + 1, j] = after
            self.V[:, j + 1] = w / after
        else:
            self.V[:, j + 1] = 0
        column = self.Q[: j + 2, : j + 2] @ self.H[: j + 2, j]
        rotation, column[j] = _rotation(column[j], column[j + 1])
        self.R[: j + 1, j] = column[: j + 1]
        self.Q[j : j + 2] = rotation @ self.Q[j : j + 2]
        self.steps = j + 1
        # The rotated right-hand side is beta times the first column of Q.
        self.estimate = self.beta * float(abs(self.Q[j + 1, 0])) if np.isfinite(after) else np.nan
        self.going = not (
            self.estimate <= system.tolerance
            or self.exhausted
            or self.steps == self.limit
            or not np.isfinite(self.estimate)
        )

    def coefficients(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the coefficients of U and V that make the residual least."""
        j = self.steps
        if self.exhausted:
            # H is square then, and singular if A M is on this space: the shortest of the best answers.
            eps = np.finfo(self.W.dtype).eps
            z = la.lstsq(self.H[:j, :j], self.beta * np.eye(j, 1)[:, 0], cond=10 * j * eps, check_finite=False)[0]
        else:
            g = self.beta * self.Q[:j, 0]
            z = la.solve_triangular(self.R[:j, :j], g, check_finite=False)
        z = z.astype(self.W.dtype, copy=False)
        return self.y0 - self.B[:, :j] @ z, z

    def rounding(self, z: np.ndarray) -> float:
        """Return about how much rounding adds to the residual when ``V z`` is applied: eps ‖A M‖ ‖z‖."""
        return float(np.finfo(self.W.dtype).eps) * self.largest * norm(z)

    def deflate(self, U: np.ndarray, recycle: int) -> np.ndarray:
        """Put the new recycle space in place of the old: C into the first columns of W; return U."""
        j, k = self.steps, self.k
        if j == 0:
            return U
        rows, columns = k + j + 1, k + j
        scale = 1 / np.linalg.norm(U, axis=0)
        G = np.zeros((rows, columns), dtype=self.W.dtype)
        G[range(k), range(k)] = scale
        G[:k, k:] = self.B[:, :j]
        G[k:, k:] = self.H[: j + 1, :j]
        F = np.zeros_like(G)
        F[range(k, k + j), range(k, k + j)] = 1
        F[:, :k] = _adjoint(self.W[:, :rows], U) * scale
        found = harmonic(G, F, recycle)
        if found is None:
            return U
        of_W, of_UV = found
        # Transposed products keep the Fortran order of W.
        U = ((scale[:, None] * of_UV[:k]).T @ U.T + of_UV[k:].T @ self.V[:, :j].T).T
        self.W[:, : of_W.shape[1]] = (of_W.T @ self.W[:, :rows].T).T
        return U


def _adjoint(W: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return ``Wᴴ x`` without a conjugated copy of W."""
    return W.T @ x if W.dtype.kind != "c" else (W.T @ x.conj()).conj()


def _orthogonalise(W: np.ndarray, w: np.ndarray, before: float) -> tuple[np.ndarray, float]:
    """Take the components along orthonormal columns out of ``w``, in place; return them and the norm left."""
    h = _adjoint(W, w)
    w -= W @ h
    after = norm(w)
    # Twice is enough (Kahan, Parlett), and needed when much of w was taken away. Sparing more second passes
    # saves a tenth of the time, but C is made of these vectors and hands what is lost from cycle to cycle.
    if after < 0.7 * before:
        again = _adjoint(W, w)
        w -= W @ again
        h += again
        after = norm(w)
    return h, after


def _rotation(a: complex, b: complex) -> tuple[np.ndarray, complex]:
    """Return the unitary 2×2 matrix that takes ``(a, b)`` to ``(r, 0)``, and r."""
    size = np.hypot(abs(a), abs(b))
    if size == 0:
        return np.eye(2), a
    phase = a / abs(a) if a != 0 else 1.0
    c, s = abs(a) / size, phase * np.conj(b) / size
    return np.array([[c, s], [-np.conj(s), c]]), phase * size
