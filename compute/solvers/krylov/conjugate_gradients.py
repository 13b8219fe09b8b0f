from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy

from ritz.compute.solvers.krylov.arguments import System, attempted, limit
from ritz.compute.solvers.scaling import norm

_BREAKDOWN = -1


def cg(
    A: Any,
    b: np.ndarray,
    x0: np.ndarray | str | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[np.ndarray], object] | None = None,
) -> tuple[np.ndarray, int]:
    """Solve ``A x = b`` with a Hermitian definite ``A`` by conjugate gradients, with SciPy's signature.

    Parameters
    ----------
    A
        ``(n, n)`` Hermitian matrix, sparse or dense, or LinearOperator; positive definite, or negative definite
        without ``M``, which works as well. Neither is checked beforehand.
    b, x0, rtol, atol
        As in `gcrodr`. Converged when the true residual has ``‖b − A x‖ <= max(rtol ‖b‖, atol)``.
    maxiter
        Largest number of iterations, ``10 n`` by default.
    M
        Approximate inverse of ``A``, Hermitian and positive definite.
    callback
        Called as ``callback(xk)`` after every iteration, with a copy.

    Returns
    -------
    x : ndarray
        ``(n,)`` last iterate, in the common floating-point type of ``A``, ``b`` and ``M``.
    info : int
        ====  ================================================================================================
        0     converged
        > 0   not converged after this many iterations (``maxiter``)
        < 0   breakdown: the curvature ``pᴴ A p`` is zero to working precision or changes its sign, so ``A`` is
              indefinite, or singular and ``b`` outside its range; or ``rᴴ M r`` does, so ``M`` is; or rounding
              keeps the true residual above the tolerance; or a product with ``A`` or ``M`` is not finite
        ====  ================================================================================================

    Raises
    ------
    ValueError
        If shapes do not fit, ``b``, ``x0`` or the entries of a matrix are not finite, or an option is out of
        range.

    Notes
    -----
    Iterates are those of `scipy.sparse.linalg.cg`. It differs where the recurrence says that it has converged:
    the true residual is computed, and if that is still too large the iteration starts again from it. SciPy goes on
    through a breakdown, and calls convergence in the very last iteration allowed none.

    The answer does not depend on the units: vectors and operators whose squares leave the range of the precision
    are multiplied by powers of two, which changes no other bit. Where the range cannot hold ``x``, that is a breakdown.

    A zero ``b`` gives ``x = 0`` and 0, whatever ``x0``. A singular ``A`` is no obstacle if ``b`` is in its range.

    Source: M. R. Hestenes, E. Stiefel, "Methods of conjugate gradients for solving linear systems", J. Res. Nat.
    Bur. Stand. 49 (1952).

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import diags_array
    >>> A = diags_array([-1.0, 2.1, -1.0], offsets=[-1, 0, 1], shape=(200, 200))
    >>> x, info = cg(A, np.ones(200), rtol=1e-8)
    >>> info, bool(np.linalg.norm(A @ x - 1) <= 1e-8 * np.sqrt(200))
    (0, True)
    """
    system = System(A, b, x0, M, rtol, atol)
    maxiter = limit(maxiter, system.size)
    return attempted(system, lambda: iterate(system, maxiter, callback))


@np.errstate(over="ignore", divide="ignore", invalid="ignore")
def iterate(system: System, maxiter: int, callback: Callable[[np.ndarray], object] | None = None) -> int:
    """Improve ``system.x``, whose ``b`` is not zero, until it converges; return info."""
    axpy = scipy.linalg.get_blas_funcs("axpy", dtype=system.dtype)
    r, p = system.residual(), np.empty_like(system.b)
    sign = rho = 0.0
    fresh, proven, shortest = True, np.inf, np.inf
    eps = np.finfo(system.dtype).eps
    while True:
        size = norm(r)
        if size <= system.tolerance:
            if not fresh:
                r = system.residual()
                size = norm(r)
            if size <= system.tolerance:
                return 0
            # Starting again takes the residual down by orders of magnitude, or not at all.
            if not size <= 0.5 * proven:
                return _BREAKDOWN
            fresh, proven = True, size
        if system.iterations == maxiter:
            return maxiter
        z = system.precondition(r)
        before, rho = rho, np.vdot(r, z)
        if not (np.isfinite(rho) and rho.real > 0):
            return _BREAKDOWN
        if fresh:
            p[:] = z
        else:
            p *= rho / before
            p += z
        fresh = False
        q = system.apply(p)
        curvature = np.vdot(p, q)
        sign = sign or np.sign(curvature.real)
        if not (np.isfinite(curvature) and curvature.real * sign > 0):
            return _BREAKDOWN
        alpha = rho / curvature
        # Step lengths lie between the reciprocals of the extreme eigenvalues: such a ratio is a condition number.
        shortest = min(shortest, abs(alpha))
        if not eps * abs(alpha) < 0.1 * shortest:
            return _BREAKDOWN
        system.x, r = axpy(p, system.x, a=alpha), axpy(q, r, a=-alpha)
        system.iterations += 1
        if callback is not None:
            callback(system.iterate())
