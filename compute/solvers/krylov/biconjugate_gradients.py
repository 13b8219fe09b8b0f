from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ritz.compute.solvers.krylov.arguments import System, attempted, limit
from ritz.compute.solvers.scaling import norm

_BREAKDOWN, _RHO, _OMEGA = -1, -10, -11


def bicgstab(
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
    """Solve ``A x = b`` by the stabilised biconjugate gradient method, with SciPy's signature.

    Parameters
    ----------
    A, b, x0, rtol, atol
        As in `gcrodr`. Converged when the true residual has ``‖b − A x‖ <= max(rtol ‖b‖, atol)``.
    maxiter
        Largest number of iterations, of two applications of ``A`` each; ``10 n`` by default.
    M
        Approximate inverse of ``A``, applied from the right: residuals are those of ``A`` itself.
    callback
        Called as ``callback(xk)`` after every iteration, with a copy; not after the half of one that converges.

    Returns
    -------
    x : ndarray
        ``(n,)`` last iterate, in the common floating-point type of ``A``, ``b`` and ``M``.
    info : int
        ====  ================================================================================================
        0     converged
        > 0   not converged after this many iterations (``maxiter``)
        -1    breakdown: rounding keeps the true residual above the tolerance, or a product with ``A`` or ``M`` is
              not finite
        -10   breakdown: the residual is orthogonal to the first one
        -11   breakdown: an update is orthogonal to what it should reduce (``A M`` singular, or its field of values
              holds 0), or so long that rounding alone would make another residual
        ====  ================================================================================================

    Raises
    ------
    ValueError
        As in `gcrodr`.

    Notes
    -----
    Iterates are those of `scipy.sparse.linalg.bicgstab`. It differs where the recurrence says that it has
    converged: the true residual is computed, and if that is still too large the iteration starts again from it. Its
    breakdown tests do not depend on the scale of ``A`` and ``b``, as SciPy's do; and convergence in the very last
    iteration allowed is convergence.

    The answer does not depend on the units: vectors and operators whose squares leave the range of the precision
    are multiplied by powers of two, which changes no other bit. Where the range cannot hold ``x``, that is a breakdown.

    A zero ``b`` gives ``x = 0`` and 0, whatever ``x0``. A singular ``A`` is no obstacle if ``b`` is in its range.

    Source: H. A. van der Vorst, "Bi-CGSTAB", SIAM J. Sci. Stat. Comput. 13 (1992).
    """
    system = System(A, b, x0, M, rtol, atol)
    maxiter = limit(maxiter, system.size)
    return attempted(system, lambda: iterate(system, maxiter, callback))


@np.errstate(over="ignore", divide="ignore", invalid="ignore")
def iterate(system: System, maxiter: int, callback: Callable[[np.ndarray], object] | None = None) -> int:
    """Improve ``system.x``, whose ``b`` is not zero, until it converges; return info."""
    eps = float(np.finfo(system.dtype).eps)
    tiny = eps**2
    r = system.residual()
    shadow, p, v = r.copy(), r.copy(), r
    before = alpha = omega = 1.0
    fresh, proven, stuck, largest = True, np.inf, False, 0.0
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
            fresh, proven, stuck = True, size, False
            shadow, p = r.copy(), r.copy()
        if system.iterations == maxiter:
            return maxiter
        rho = np.vdot(shadow, r)
        if not np.isfinite(rho):
            return _BREAKDOWN
        if abs(rho) <= tiny * norm(shadow) * size:
            return _RHO
        if stuck:
            return _OMEGA
        if not fresh:
            p -= omega * v
            p *= (rho / before) * (alpha / omega)
            p += r
        fresh = False
        towards = system.precondition(p)
        v = system.apply(towards)
        along = np.vdot(shadow, v)
        if not np.isfinite(along):
            return _BREAKDOWN
        if along == 0:
            return _OMEGA
        alpha = rho / along
        before = rho
        length = norm(towards)
        largest = max(largest, norm(v) / length)
        if not eps * largest * abs(alpha) * length < 0.1 * size:
            return _OMEGA
        r -= alpha * v
        system.x += alpha * towards
        # The half step may be all that is needed; the head of the loop finds out.
        if norm(r) <= system.tolerance:
            continue
        towards = system.precondition(r)
        t = system.apply(towards)
        square = np.vdot(t, t).real
        if not np.isfinite(square):
            return _BREAKDOWN
        product = np.vdot(t, r)
        stuck = abs(product) <= tiny * norm(t) * norm(r)
        omega = product / square if square > 0 else 0.0
        system.x += omega * towards
        r -= omega * t
        system.iterations += 1
        if callback is not None:
            callback(system.iterate())
