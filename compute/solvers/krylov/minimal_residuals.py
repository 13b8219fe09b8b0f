from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ritz.compute.solvers.iterative.guard import APPLICATION, BLOCK
from ritz.compute.solvers.iterative.recycler import Recycler
from ritz.compute.solvers.krylov.arguments import System, at_least_one, attempted, limit
from ritz.compute.solvers.krylov.cycle import Cycle
from ritz.compute.solvers.krylov.deflation import Space, image
from ritz.compute.solvers.scaling import norm

_BREAKDOWN = -1


def gcrodr(
    A: Any,
    b: np.ndarray,
    x0: np.ndarray | str | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    restart: int = 20,
    recycle: int = 10,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[np.ndarray], object] | None = None,
    recycler: Recycler | None = None,
) -> tuple[np.ndarray, int]:
    """Solve ``A x = b`` by GCRO-DR: GMRES that keeps harmonic Ritz vectors over restarts and over systems.

    Parameters
    ----------
    A
        ``(n, n)`` matrix, sparse or dense, or LinearOperator; real or complex.
    b
        Right-hand side, ``(n,)`` or ``(n, 1)``.
    x0
        First guess; zero by default, and where it is so large that rounding would leave nothing of ``b`` beside it.
        ``"Mb"`` stands for ``M @ b``.
    rtol, atol
        Converged when ``‖b − A x‖ <= max(rtol ‖b‖, atol)``; numbers of at least 0, infinity included. The true residual
        is computed at the end of every cycle, and only it decides.
    restart
        Dimension of the space a cycle works in: recycled vectors and new ones together.
    recycle
        How many vectors are kept, less than ``restart``. With 0 this is restarted GMRES. Both numbers are cut
        to what ``n`` allows.
    maxiter
        Largest number of cycles, ``10 n`` by default.
    M
        Approximate inverse of ``A``, applied from the right: residuals are those of ``A`` itself.
    callback
        Called as ``callback(xk)`` after every cycle.
    recycler
        Where the kept space comes from and goes to. Without one it lives in this solve only. One with a guard
        says by itself which systems start from the kept space.

    Returns
    -------
    x : ndarray
        ``(n,)`` last iterate, in the common floating-point type of ``A``, ``b`` and ``M``.
    info : int
        ====  ================================================================================================
        0     converged
        > 0   not converged after this many cycles (``maxiter``)
        < 0   breakdown: ``A M`` is singular on the Krylov space, which cannot be enlarged, or rounding
              keeps the residual from falling over a cycle, or a product with ``A`` or ``M`` is not finite; ``x`` is
              the best iterate so far
        ====  ================================================================================================

    Raises
    ------
    ValueError
        If shapes do not fit, ``b``, ``x0`` or the entries of a matrix are not finite, or an option is out of
        range.

    Notes
    -----
    Algorithm: M. Parks, E. de Sturler, G. Mackey, D. Johnson, S. Maiti, "Recycling Krylov subspaces for
    sequences of linear systems", SIAM J. Sci. Comput. 28 (2006), appendix. It differs in three points: the
    harmonic Ritz problem is solved through the QR factors of the projected operator, which gives the new
    ``C = A M U`` orthonormal; a recycled block is orthogonalised at once by Cholesky QR; a step is orthogonalised
    against ``C`` and the Krylov basis together, by classical Gram–Schmidt with a second pass where digits would
    be lost. Without a carried space the iterates are those of GMRES-DR: R. Morgan, "GMRES with deflated
    restarting", SIAM J. Sci. Comput. 24 (2002).

    The answer does not depend on the units: vectors and operators whose squares leave the range of the precision
    are multiplied by powers of two, which changes no other bit. Where the range cannot hold ``x``, that is a breakdown.

    A zero ``b`` gives ``x = 0`` and 0, whatever ``x0``.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import diags_array
    >>> A = diags_array([-1.0, 2.1, -1.0], offsets=[-1, 0, 1], shape=(200, 200))
    >>> recycler = Recycler()
    >>> x, info = gcrodr(A, np.ones(200), rtol=1e-8, recycler=recycler)
    >>> info, bool(np.linalg.norm(A @ x - 1) <= 1e-8 * np.sqrt(200))
    (0, True)
    """
    system = System(A, b, x0, M, rtol, atol)
    restart, maxiter = at_least_one("restart", restart), limit(maxiter, system.size)
    if not 0 <= recycle < restart:
        raise ValueError(f"recycle is {recycle}, expected at least 0 and less than restart, which is {restart}")
    if recycler is not None and recycler.basis is not None:
        if recycler.basis.shape[0] != system.size:
            raise ValueError(
                f"recycler holds vectors of length {recycler.basis.shape[0]}, A has {system.size} rows: "
                "use another recycler for another size, or reset() this one"
            )
        if np.iscomplexobj(recycler.basis) and system.dtype.kind != "c":
            raise ValueError("recycler holds complex vectors, the system is real: reset() it first")
    if recycler is not None:
        recycler.begin()
    found = attempted(system, lambda: _iterate(system, restart, recycle, maxiter, recycler, on_cycle=callback))
    if recycler is not None:
        recycler.iterations, recycler.matvecs = system.iterations, system.matvecs
    return found


def gmres(
    A: Any,
    b: np.ndarray,
    x0: np.ndarray | str | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    restart: int | None = None,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], object] | None = None,
    callback_type: str | None = None,
) -> tuple[np.ndarray, int]:
    """Solve ``A x = b`` by restarted GMRES: `gcrodr` that keeps nothing, with SciPy's signature.

    Parameters
    ----------
    A, b, x0, rtol, atol, M
        As in `gcrodr`. Unlike SciPy's, ``M`` is applied from the right.
    restart
        Steps in a cycle, ``min(20, n)`` by default.
    maxiter
        Largest number of cycles, ``10 n`` by default; of steps with ``callback_type="legacy"``.
    callback
        Called after every step or cycle.
    callback_type
        ``"x"``: ``callback(xk)`` after every cycle; ``"pr_norm"``: ``callback(‖rk‖/‖b‖)`` after every step;
        ``"legacy"``, which is what SciPy takes by default and warns about: the same, and ``maxiter`` counts
        steps. Without ``callback`` it has no effect.

    Returns
    -------
    x : ndarray
        ``(n,)`` last iterate.
    info : int
        0 if converged, else ``maxiter``.

    Raises
    ------
    ValueError
        As in `gcrodr`, or for an unknown ``callback_type``.
    """
    if callback is not None and callback_type is None:
        warnings.warn(
            "gmres was called without specifying `callback_type`: 'legacy' is taken; say 'x' or 'pr_norm'",
            DeprecationWarning,
            stacklevel=2,
        )
    kind = callback_type or "legacy"
    if kind not in ("x", "pr_norm", "legacy"):
        raise ValueError(f"callback_type is {callback_type!r}, expected 'x', 'pr_norm' or 'legacy'")
    system = System(A, b, x0, M, rtol, atol)
    restart = 20 if restart is None else at_least_one("restart", restart)
    maxiter = limit(maxiter, system.size)
    x, info = attempted(
        system,
        lambda: _iterate(
            system,
            restart,
            0,
            maxiter,
            on_cycle=callback if kind == "x" else None,
            on_step=callback if kind != "x" else None,
            count_steps=callback is not None and kind == "legacy",
        ),
    )
    return x, maxiter if info else 0


def _iterate(
    system: System,
    restart: int,
    recycle: int,
    maxiter: int,
    recycler: Recycler | None = None,
    *,
    on_cycle: Callable[[np.ndarray], object] | None = None,
    on_step: Callable[[float], object] | None = None,
    count_steps: bool = False,
) -> int:
    """Improve ``system.x`` cycle by cycle until it converges; return info and leave what was learnt in ``recycler``."""
    restart = min(restart, system.size)
    recycle = min(recycle, restart - 1)
    r = system.residual()
    size = norm(r)
    if size <= system.tolerance:
        return 0
    # C = A M U is orthonormal; it lies in the first columns of W, before the Krylov basis V of the cycle.
    W = np.empty((system.size, restart + 1), dtype=system.dtype, order="F")
    space = Space.empty(W)
    basis = recycler.start() if recycler is not None and recycle else None
    keeps = recycler is not None and recycle > 0 and recycler.keeps
    work = handover = 0.0
    if basis is not None:
        carried = basis[:, :recycle].astype(system.dtype, copy=False)
        C, U = image(system.A, system.M, carried)
        system.matvecs += carried.shape[1]
        W[:, : U.shape[1]] = C
        space = Space.of(C, U)
        work += 5 * BLOCK * carried.shape[1] ** 2
    learnt: np.ndarray | None = None
    cycles, info = 0, None
    while info is None:
        if cycles == maxiter or (count_steps and system.iterations >= maxiter):
            info = cycles
            break
        cycles += 1
        recycled = space.U.shape[1]
        steps = restart - recycled
        if count_steps:
            steps = min(steps, maxiter - system.iterations)
        cycle = Cycle(system, W, recycled, r, steps)
        while cycle.going:
            cycle.step()
            if on_step is not None:
                on_step(np.float64(cycle.estimate) / system.norm)
        residual = _improve(system, cycle, space.U, size)
        work += handover + cycle.passes
        handover = 0.0
        if residual is None:
            info = _BREAKDOWN
            break
        r = residual
        before, size = size, norm(r)
        if on_cycle is not None:
            on_cycle(system.iterate())
        if recycle and (keeps or size > system.tolerance):
            space = cycle.deflate(space, recycle, last=size <= system.tolerance)
            handover, learnt = cycle.deflation, space.U
        if size <= system.tolerance:
            info = 0
        elif cycle.exhausted and size > 0.5 * before:
            # The Krylov space holds no better iterate: another cycle would build the same one.
            info = _BREAKDOWN
    if recycler is not None:
        work += APPLICATION * system.matvecs
        if recycle:
            recycler.finish(learnt if keeps else None, work, handover, info == 0)
        else:
            recycler.work = work
    return info


def _improve(system: System, cycle: Cycle, U: np.ndarray, size: float) -> np.ndarray | None:
    """Add the update of a cycle to ``system.x``; return the residual, or None if the update was of no use."""
    if not np.isfinite(cycle.estimate):
        return None
    y, z = cycle.coefficients()
    # Singular but for rounding: such an update only replaces one residual by another made of rounding.
    if not cycle.rounding(z) <= 0.1 * size:
        return None
    update = system.precondition(cycle.combination(U, y, z))
    if not np.isfinite(update).all():
        return None
    system.x += update
    r = system.residual()
    # In exact arithmetic no cycle makes the residual larger: this is as far as rounding lets it fall.
    if not norm(r) <= (1 + 1e-8) * size:
        system.x -= update
        return None
    return r
