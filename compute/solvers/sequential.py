from __future__ import annotations

import logging
import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from compute.solvers.operators import Operators, Stencil
from compute.solvers.solver import COLUMNS, Ledger, Solutions, Solver
from compute.solvers.systems import Systems

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """What a solver has to say about one system.

    Attributes
    ----------
    x
        Flat solution, or None if there is none.
    iterations, matvecs
        Iterations and applications of the operator that were done.
    reason
        Why there is no good answer, as far as the solver knows; ``""`` if it thinks there is one.
    residual
        The true ``‖b − Ax‖/‖b‖`` of ``x`` if the solver has computed it, in float64 and from ``x`` itself; None to
        have it computed.
    """

    x: np.ndarray | None
    iterations: int
    matvecs: int
    reason: str = ""
    residual: float | None = None


class Sequential(Solver):
    """Answers systems one after the other, carrying a state along.

    A subclass answers one system in `attempt`; `solve` sees to the true residual of every answer, gives a
    system that misses the tolerance to `compute.solvers.direct.Direct`, and marks it as failed when that
    misses too.
    """

    @abstractmethod
    def attempt(self, systems: Systems, i: int, *, rtol: float, carry: Any) -> tuple[Attempt, Any]:
        """Answer one system.

        Parameters
        ----------
        systems, i
            System ``i`` of the batch; its matrix and right-hand side are finite.
        rtol
            Wanted ``‖b − Ax‖/‖b‖``.
        carry
            What the attempt before handed back, or None. It is not changed: what comes back is new.

        Returns
        -------
        attempt, carry
        """

    def together(self, systems: Systems) -> np.ndarray | None:
        """Answer all systems at once, where that is quicker and possible.

        Returns
        -------
        x
            ``(n, *shape)``, or None to be asked for one system after the other. An answer that misses the
            tolerance is attempted once more by itself.
        """
        del systems
        return None

    def solve(self, systems: Systems, *, rtol: float, carry: Any = None) -> tuple[Solutions, Any]:
        """Solve a batch of systems in their order; see `Solver.solve`."""
        if not 0 < rtol < 1:
            raise ValueError(f"rtol is {rtol}, expected a number between 0 and 1, e.g. 1e-8")
        reason = self.lacks(systems)
        if reason:
            raise ValueError(f"solver is {self.kind!r}: {reason}; expected a solver that can, such as 'auto'")
        start = time.perf_counter()
        at_once = self.together(systems) if np.isfinite(systems.rhs).all() else None
        residuals = None if at_once is None else relative_residuals(systems, at_once)
        share = (time.perf_counter() - start) / max(len(systems), 1)
        row = {"status": "ok", "reason": "", "iterations": 0, "matvecs": 1, "solver": self.kind, "seconds": share}
        if at_once is not None and residuals is not None and np.all(residuals <= rtol):
            columns = {name: [value] * len(systems) for name, value in row.items()}
            return Solutions(at_once, {**columns, "residual": residuals.tolist()}), carry
        dtype = np.result_type(systems.operators.dtype, systems.rhs.dtype)
        x = np.full(systems.rhs.shape, np.nan, dtype=dtype)
        ledger: Ledger = {name: [] for name in COLUMNS}
        for i in range(len(systems)):
            start = time.perf_counter()
            if at_once is not None and residuals is not None and residuals[i] <= rtol:
                answer, found = at_once[i], {**row, "residual": float(residuals[i])}
            else:
                found, answer, carry = self._one(systems, i, rtol, carry)
            if answer is not None:
                x[i] = answer.reshape(x.shape[1:])
            found["seconds"] = time.perf_counter() - start + share
            for name in COLUMNS:
                ledger[name].append(found[name])
        return Solutions(x, ledger), carry

    def _one(self, systems: Systems, i: int, rtol: float, carry: Any) -> tuple[dict[str, Any], np.ndarray | None, Any]:
        """Solve system ``i``, if need be with Direct; return its ledger row without the time."""
        # Direct is a subclass, so it cannot be imported before this class exists.
        from compute.solvers.direct import Direct

        operators, rhs = systems.operators, systems.rhs[i].ravel()
        row: dict[str, Any] = {"status": "failed", "reason": "not_finite", "residual": np.nan, "solver": self.kind}
        row |= {"iterations": 0, "matvecs": 0}
        if not (np.isfinite(rhs).all() and operators.finite(i)):
            log.warning("system %d has entries that are not finite: it is not solved", i)
            return row, None, carry
        solvers: tuple[Sequential, ...] = (self,) if isinstance(self, Direct) else (self, Direct())
        for solver in solvers:
            attempt, left = solver.attempt(systems, i, rtol=rtol, carry=carry if solver is self else None)
            carry = left if solver is self else carry
            row["iterations"] += attempt.iterations
            row["matvecs"] += attempt.matvecs
            residual = np.nan
            if attempt.x is not None and attempt.residual is not None:
                residual = attempt.residual
            elif attempt.x is not None:
                residual = relative_residual(operators, i, attempt.x, rhs)
                row["matvecs"] += 1
            row |= {"residual": residual, "solver": solver.kind}
            if residual <= rtol:
                row |= {"status": "ok", "reason": ""}
                return row, attempt.x, carry
            row["reason"] = attempt.reason or ("not_converged" if np.isfinite(residual) else "not_finite")
            log.warning(
                "%s missed rtol %.1e on system %d: %s, residual %.1e", solver.kind, rtol, i, row["reason"], residual
            )
        return row, None, carry


def relative_residuals(systems: Systems, x: np.ndarray) -> np.ndarray:
    """Return `relative_residual` of the answers ``x`` ``(n, *shape)`` to all systems, ``(n,)`` float64."""
    operators, count = systems.operators, len(systems)
    if not operators.constant or isinstance(operators, Stencil):
        return np.array([relative_residual(operators, i, x[i].ravel(), systems.rhs[i].ravel()) for i in range(count)])
    rhs, x, matrix = systems.rhs.reshape(count, -1), x.reshape(count, -1), operators.csr(0)
    # One by one: for a block SciPy wants it transposed, which takes longer than the product.
    left = np.array([np.linalg.norm(b - matrix @ y) for b, y in zip(rhs, x, strict=True)])
    norms = np.array([np.linalg.norm(b) for b in rhs])
    return np.divide(left, norms, out=np.where(left == 0, 0.0, np.inf), where=norms > 0)


def relative_residual(operators: Operators, i: int, x: np.ndarray, rhs: np.ndarray) -> float:
    """Return the true ``‖b − A_i x‖ / ‖b‖`` in double precision; 0 if both are zero, inf if only ``b`` is."""
    residual, norm = operators.residual(i, x, rhs)
    if norm == 0:
        return 0.0 if residual == 0 else np.inf
    return residual / norm
