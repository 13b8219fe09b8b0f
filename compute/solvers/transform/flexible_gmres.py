from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.scaling import norm
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.solver import Attempt
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.transform.separable import Separable, even
from ritz.compute.solvers.transform.transform import Transform

Product = Callable[[np.ndarray], np.ndarray]

_EXHAUSTED, _EXACT = 1e-14, 1e-8
"""What is left of a new vector where the Krylov space is exhausted, and the relative residual of an answer then."""


class FlexibleGMRES(Sequential):
    """Flexible GMRES that goes on until its answer stops changing, for waves of varying wave number.

    The preconditioner, from the right, is the stencil of the means, inverted by transforms. An indefinite matrix may
    have eigenvalues near zero, along which an answer with a small residual is wrong by more than its own size. So an
    answer is good if the last two steps changed it by at most ``change`` of its norm each, and its residual is at most
    ``rtol``. With an ``rtol`` of 1, the residual of no answer at all, the change alone decides.

    Sources: Y. Saad, "A flexible inner-outer preconditioned GMRES algorithm", SIAM J. Sci. Comput. 14 (1993);
    P. Concus, G. Golub, "Use of fast direct methods for the efficient numerical solution of nonseparable elliptic
    equations", SIAM J. Numer. Anal. 10 (1973).
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source("Y. Saad", "A flexible inner-outer preconditioned GMRES algorithm", 1993, "SIAM J. Sci. Comput. 14"),
        Source(
            "P. Concus, G. Golub",
            "Use of fast direct methods for the efficient numerical solution of nonseparable elliptic equations",
            1973,
            "SIAM J. Numer. Anal. 10",
        ),
    )

    kind: Literal["fgmres"] = "fgmres"
    change: float = Field(default=0.1, gt=0, lt=1)
    """Largest ``‖x_k − x_{k−1}‖ / ‖x_k‖``, twice in a row, of a good answer."""
    maxiter: int = Field(default=60, ge=2, le=1000, json_schema_extra=in_units("iterations"))
    """Iterations after which a system is given up. There are no restarts: each takes two vectors of memory."""

    def unfit(self, systems: Systems) -> str:
        """Return what keeps it from solving such systems; see `Solver.unfit`."""
        if reason := Transform().unfit(systems):
            return reason
        assert isinstance(systems.operators, Stencil)
        return "" if even(systems.operators.coefficients) else "fgmres needs constant couplings along each axis"

    def attempt(self, systems: Systems, i: int, *, rtol: float, carry: None) -> tuple[Attempt, None]:
        """Answer one system, whatever the guess; see `Sequential.attempt`. There is nothing to carry."""
        operators, rhs = systems.operators, systems.rhs[i]
        assert isinstance(operators, Stencil)
        model = Separable.of(operators.coefficients[i])
        if not rhs.any():
            return Attempt(np.zeros(rhs.size), 0, 0, residual=0.0), carry
        if not model.regular:
            return Attempt(None, 0, 0, "breakdown"), carry
        x, steps = self._iterated(lambda v: operators.matvec(i, v), model.inverse(), rhs, rtol)
        return Attempt(x, steps, steps, "not_converged" if x is None else ""), carry

    def _iterated(
        self, apply: Product, precondition: Product, b: np.ndarray, rtol: float
    ) -> tuple[np.ndarray | None, int]:
        """Return the answer, None if there is no good one, and the steps."""
        size, steps = norm(b.ravel()), min(self.maxiter, b.size)
        # Orthonormal rows V, Z = V M, and A applied to Z, which is Vᵀ H.
        V, Z = np.empty((2, steps + 1, b.size), b.dtype)
        H = np.zeros((steps + 1, steps), b.dtype)
        V[0] = b.ravel() / size
        x, calm = np.zeros_like(V[0]), 0
        for k in range(steps):
            z = precondition(V[k].reshape(b.shape))
            Z[k], w = z.ravel(), apply(z).ravel()
            before = norm(w)
            # Classical Gram–Schmidt twice is enough.
            for _ in range(2):
                along = V[: k + 1].conj() @ w
                w = w - along @ V[: k + 1]
                H[: k + 1, k] += along
            H[k + 1, k] = after = norm(w)
            if not np.isfinite(after):
                return None, k + 1
            left = np.zeros(k + 2, b.dtype)
            left[0] = size
            y = np.linalg.lstsq(H[: k + 2, : k + 1], left)[0]
            last, x = x, y @ Z[: k + 1]
            residual = norm(left - H[: k + 2, : k + 1] @ y)
            calm = calm + 1 if norm(x - last) <= self.change * norm(x) else 0
            if after <= _EXHAUSTED * before:
                return x if residual <= min(rtol, _EXACT) * size else None, k + 1
            if calm >= 2 and residual <= rtol * size:
                return x, k + 1
            V[k + 1] = w / after
        return None, steps
