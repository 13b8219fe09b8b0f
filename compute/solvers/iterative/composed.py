from __future__ import annotations

from typing import TYPE_CHECKING

from ritz.compute.solvers.iterative.guard import APPLICATION
from ritz.compute.solvers.iterative.recycler import Recycler
from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.preconditioners.work import unpreconditioned
from ritz.compute.solvers.scaling import norm
from ritz.compute.solvers.solver import Attempt
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    from ritz.compute.solvers.preconditioners.inverse import ApproximateInverse

MARGIN = 0.999
"""Part of rtol that is asked of a Krylov method, which sums the residual in another order than the ledger."""


def minimal_residual(
    systems: Systems,
    i: int,
    M: ApproximateInverse | None,
    *,
    rtol: float,
    restart: int,
    recycle: int,
    maxiter: int,
    recycler: Recycler,
) -> Attempt:
    """Answer one system with GCRO-DR in the variables ``t`` of ``x = guess + M t``.

    Those are the variables of right preconditioning, so residuals, iterates and the recycler's basis are the same as
    with ``A`` and ``M`` apart; but ``A M`` is applied as one operator, see `ApproximateInverse.image`.

    Parameters
    ----------
    systems, i
        System ``i`` of a batch.
    M
        Preconditioner, None for none.
    rtol
        Wanted ``‖b − Ax‖/‖b‖``.
    restart, recycle, maxiter, recycler
        As in `ritz.compute.solvers.krylov.gcrodr`.
    """
    # SciPy's solvers take longer to load than a command that refuses a recipe has.
    from ritz.compute.solvers.krylov import gcrodr

    operators, b = systems.operators, systems.rhs[i].ravel()
    guess = None if systems.guess is None or not b.any() else systems.guess[i].ravel()
    r = b if guess is None else b - operators.matvec(i, guess)
    t, info = gcrodr(
        operators.csr(i) if M is None else M.image(),
        r,
        rtol=0,
        atol=MARGIN * rtol * norm(b),
        restart=restart,
        recycle=recycle,
        maxiter=maxiter,
        recycler=recycler,
    )
    x = t if M is None else M @ t
    return Attempt(
        x if guess is None else guess + x,
        recycler.iterations,
        recycler.matvecs + (guess is not None),
        reason(info),
        # The recycler counts every application as one that a grid's own sweeps do.
        work=recycler.work - APPLICATION * recycler.matvecs + preconditioned(M, recycler.matvecs, operators),
    )


def preconditioned(M: ApproximateInverse | None, matvecs: int, operators: Operators) -> float:
    """Return the work of making a preconditioner and of so many applications of ``A M``, in passes."""
    if M is None:
        return matvecs * unpreconditioned(operators)
    return M.made + matvecs * M.applied


def reason(info: int) -> str:
    """Return what the ``info`` of a Krylov method is called in a ledger."""
    return "" if info == 0 else "not_converged" if info > 0 else "breakdown"
