from __future__ import annotations

import numpy as np
import scipy

from ritz.compute.solvers.iterative.guard import BLOCK, small_work
from ritz.compute.solvers.krylov.arguments import System
from ritz.compute.solvers.krylov.deflation import Space, harmonic, orthonormalise
from ritz.compute.solvers.scaling import norm


class Cycle:
    """One cycle: the Arnoldi process for ``(I − C Cᴴ) A M`` from the residual, and its least-squares problem.

    ``C`` lies in the first ``k`` columns of ``W``, in Fortran order, and the Krylov basis ``V`` follows it, so that a
    new vector is made orthogonal to both by one product with a matrix.

    Attributes
    ----------
    passes, deflation
        Work on long vectors so far and that of `deflate`, as `ritz.compute.solvers.iterative.guard` counts it.
    """

    def __init__(self, system: System, W: np.ndarray, k: int, r: np.ndarray, limit: int) -> None:
        self.system, self.W, self.k, self.limit = system, W, k, limit
        self.C, self.V = W[:, :k], W[:, k:]
        self._gemv = scipy.linalg.get_blas_funcs("gemv", dtype=W.dtype)
        self.y0 = self._gemv(1, self.C, r, trans=2) if k else np.zeros(0, dtype=W.dtype)
        v = self._gemv(-1, self.C, self.y0, beta=1, y=r) if k else r
        self.beta = norm(v)
        self.estimate = self.beta
        # Projected operator, and the vector that its Hessenberg part takes to zero from the left, 1 in front.
        self.B = np.zeros((k, limit), dtype=W.dtype, order="F")
        self.H = np.zeros((limit + 1, limit), dtype=W.dtype, order="F")
        self.null = np.zeros(limit + 1, dtype=W.dtype)
        self.null[0], self.stretch = 1, 1.0
        self.steps = 0
        self.largest = 0.0
        self.exhausted = False
        self.passes, self.deflation = 2.0 * k, 0.0
        self.eps = float(np.finfo(W.dtype).eps)
        if self.beta > 0:
            np.multiply(v, 1 / self.beta, out=self.V[:, 0])
        self.going = self.beta > system.tolerance

    def step(self) -> None:
        """Add one vector to the Krylov basis."""
        j, k, system = self.steps, self.k, self.system
        w = self.V[:, j + 1]
        w[:] = system.apply(system.precondition(self.V[:, j]))
        before = norm(w)
        self.largest = max(self.largest, before)
        h, after = self._orthogonalise(w, before)
        self.B[:, j] = h[:k]
        self.H[: j + 1, j] = h[k:]
        self.exhausted = not after > self.eps * before
        self.steps = j + 1
        system.iterations += 1
        if self.exhausted:
            w[:] = 0
            self.estimate = self._left_over() if np.isfinite(after) else np.nan
        else:
            self.H[j + 1, j] = after
            w *= 1 / after
            # What is left of e₁ outside the range of H is its part along the null vector (E. H. Ayachour, J. Comput.
            # Appl. Math. 159 (2003)): no rotations are needed to know the residual.
            last = -np.vdot(h[k:], self.null[: j + 1]) / after
            self.null[j + 1] = last
            self.stretch = np.hypot(self.stretch, abs(last))
            self.estimate = self.beta / float(self.stretch)
        self.going = not (
            self.estimate <= system.tolerance
            or self.exhausted
            or self.steps == self.limit
            or not np.isfinite(self.estimate)
        )

    def _orthogonalise(self, w: np.ndarray, before: float) -> tuple[np.ndarray, float]:
        """Take the components along C and V out of ``w``, in place; return them and the norm left.

        Classical Gram–Schmidt loses orthogonality as eps κ², κ the condition of the residual and what spans the
        Krylov space, which is about what the residual has fallen by (L. Giraud et al., Numer. Math. 101 (2005)).
        So a second pass is spared while that is below √eps, unless it is seen that most of ``w`` was taken away.
        Twice is enough.
        """
        W = self.W[:, : self.k + self.steps + 1]
        h = self._gemv(1, W, w, trans=2)
        self._gemv(-1, W, h, beta=1, y=w, overwrite_y=1)
        after = norm(w)
        self.passes += 2 * W.shape[1]
        if after < 0.1 * before or self.estimate < self.eps**0.25 * self.beta:
            again = self._gemv(1, W, w, trans=2)
            self._gemv(-1, W, again, beta=1, y=w, overwrite_y=1)
            h += again
            after = norm(w)
            self.passes += 2 * W.shape[1]
        return h, after

    def coefficients(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the coefficients of U and V that make the residual least."""
        j = self.steps
        if self.exhausted:
            z = self._shortest()
        else:
            Q, R = scipy.linalg.qr(self.H[: j + 1, :j], mode="economic", check_finite=False)
            z = scipy.linalg.solve_triangular(R, self.beta * Q[0].conj(), check_finite=False)
        z = z.astype(self.W.dtype, copy=False)
        return self.y0 - self.B[:, :j] @ z, z

    def _shortest(self) -> np.ndarray:
        """Return the shortest of the best answers where the Krylov space is exhausted.

        H is square then, and singular if A M is on this space.
        """
        j = self.steps
        right = self.beta * np.eye(j, 1, dtype=self.W.dtype)[:, 0]
        values: np.ndarray = scipy.linalg.lstsq(self.H[:j, :j], right, cond=10 * j * self.eps, check_finite=False)[0]
        return values

    def _left_over(self) -> float:
        """Return the residual of that answer."""
        missed = self.H[: self.steps, : self.steps] @ self._shortest()
        missed[0] -= self.beta
        return norm(missed)

    def combination(self, U: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Return ``U y + V z``."""
        update = self._gemv(1, self.V[:, : len(z)], z) if len(z) else np.zeros(len(self.W), dtype=self.W.dtype)
        self.passes += len(z) + len(y)
        return self._gemv(1, U, y, beta=1, y=update, overwrite_y=1) if len(y) else update

    def rounding(self, z: np.ndarray) -> float:
        """Return about how much rounding adds to the residual when ``V z`` is applied: eps ‖A M‖ ‖z‖."""
        return self.eps * self.largest * norm(z)

    def deflate(self, space: Space, recycle: int, last: bool) -> Space:
        """Put the new recycle space in place of the old: C into the first columns of W; return the rest of it.

        After the ``last`` cycle of a solve only its ``U`` is of use, and the rest is left undone.
        """
        j, k = self.steps, self.k
        if j == 0:
            return space
        gemm = scipy.linalg.get_blas_funcs("gemm", dtype=self.W.dtype)
        rows, columns = k + j + 1, k + j
        W, V = self.W[:, :rows], self.V[:, : j + 1]
        # A M [U V] = [C V] G and F = [C V]ᴴ [U V].
        G = np.zeros((rows, columns), dtype=self.W.dtype)
        G[range(k), range(k)] = 1
        G[:k, k:] = self.B[:, :j]
        G[k:, k:] = self.H[: j + 1, :j]
        F = np.zeros_like(G)
        F[range(k, k + j), range(k, k + j)] = 1
        if k:
            F[:k, :k] = space.overlap
            F[k:, :k] = gemm(1, V, space.U, trans_a=2)
        self.deflation = BLOCK * ((j + 1) * k + (rows + columns) * recycle) + small_work(columns, len(W))
        found = harmonic(G, F, recycle)
        if found is None:
            return space
        of_W, of_UV = found
        if of_W.shape[1] == 0:
            return Space.empty(W)
        U = gemm(1, V[:, :j], of_UV[k:])
        if k:
            U = gemm(1, space.U, of_UV[:k], beta=1, c=U, overwrite_c=1)
        if last:
            self.deflation -= BLOCK * rows * recycle
            return Space(U, space.overlap[:0, :0])
        C = gemm(1, W, of_W)
        overlap = of_W.conj().T @ F @ of_UV
        # What single passes lost is not handed on from cycle to cycle; a vector finds out if it is too much.
        z = np.cos(np.arange(C.shape[1])).astype(C.dtype)
        if norm(self._gemv(1, C, self._gemv(1, C, z), trans=2) - z) > self.eps**0.5 * norm(z):
            C, transform = orthonormalise(C)
            U = gemm(1, U, transform)
            overlap = transform.conj().T @ overlap @ transform
        self.W[:, : C.shape[1]] = C
        return Space(U, overlap)
