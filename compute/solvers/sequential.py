from __future__ import annotations

import logging
import math
import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from ritz.compute.solvers.operators import Operators, Stencil
from ritz.compute.solvers.scaling import binary, exponent, norm, shifted
from ritz.compute.solvers.solver import COLUMNS, Ledger, Solutions, Solver
from ritz.compute.solvers.systems import Systems

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
    system that misses the tolerance to `ritz.compute.solvers.factorization.direct.Direct`, and marks it as failed
    when that misses too.
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
        reason = self.unfit(systems)
        if reason:
            raise ValueError(f"solver is {self.kind!r}: {reason}; expected a solver that can, such as 'auto'")
        start = time.perf_counter()
        systems, shifts, finite = systems.balanced()
        at_once = self.together(systems) if finite.all() else None
        residuals = None if at_once is None else relative_residuals(systems, at_once)
        share = (time.perf_counter() - start) / max(len(systems), 1)
        row = {"status": "ok", "reason": "", "iterations": 0, "matvecs": 1, "solver": self.kind, "seconds": share}
        if at_once is not None and residuals is not None and np.all(residuals <= rtol):
            columns = {name: [value] * len(systems) for name, value in row.items()}
            return _unscaled(systems, at_once, {**columns, "residual": residuals.tolist()}, shifts, rtol), carry
        dtype = np.result_type(systems.operators.dtype, systems.rhs.dtype)
        x = np.full(systems.rhs.shape, np.nan, dtype=dtype)
        ledger: Ledger = {name: [] for name in COLUMNS}
        for i in range(len(systems)):
            start = time.perf_counter()
            if at_once is not None and residuals is not None and residuals[i] <= rtol:
                answer, found = at_once[i], {**row, "residual": float(residuals[i])}
            else:
                found, answer, carry = self._one(systems, i, rtol, carry, bool(finite[i]))
            if answer is not None:
                x[i] = answer.reshape(x.shape[1:])
            found["seconds"] = time.perf_counter() - start + share
            for name in COLUMNS:
                ledger[name].append(found[name])
        return _unscaled(systems, x, ledger, shifts, rtol), carry

    def _one(
        self, systems: Systems, i: int, rtol: float, carry: Any, finite: bool
    ) -> tuple[dict[str, Any], np.ndarray | None, Any]:
        """Solve system ``i``, if need be with Direct; return its ledger row without the time."""
        # Direct is a subclass, so it cannot be imported before this class exists.
        from ritz.compute.solvers.factorization.direct import Direct

        operators, rhs = systems.operators, systems.rhs[i].ravel()
        row: dict[str, Any] = {"status": "failed", "reason": "not_finite", "residual": np.nan, "solver": self.kind}
        row |= {"iterations": 0, "matvecs": 0}
        if not finite:
            log.warning("system %d has entries that are not finite: it is not solved", i)
            return row, None, carry
        solvers: tuple[Sequential, ...] = (self,) if isinstance(self, Direct) else (self, Direct())
        for solver in solvers:
            attempt, left = solver.attempt(systems, i, rtol=rtol, carry=carry if solver is self else None)
            carry = left if solver is self else carry
            row["iterations"] += attempt.iterations
            row["matvecs"] += attempt.matvecs
            residual = np.nan
            if attempt.x is not None:
                row["matvecs"] += attempt.residual is None
                # One of zero may be one whose square left the range.
                residual = attempt.residual or relative_residual(operators, i, attempt.x, rhs)
            row |= {"residual": residual, "solver": solver.kind}
            if residual <= rtol:
                row |= {"status": "ok", "reason": ""}
                return row, attempt.x, carry
            row["reason"] = attempt.reason or ("not_converged" if np.isfinite(residual) else "not_finite")
            log.warning(
                "%s missed rtol %.1e on system %d: %s, residual %.1e", solver.kind, rtol, i, row["reason"], residual
            )
        return row, None, carry


def _unscaled(systems: Systems, x: np.ndarray, ledger: Ledger, shifts: np.ndarray, rtol: float) -> Solutions:
    """Take the answers to balanced systems back to the units they came in; one that does not fit there has failed."""
    if not shifts.any():
        return Solutions(x, ledger)
    x = x.copy()
    for i in map(int, np.flatnonzero(shifts)):
        if ledger["status"][i] != "ok":
            continue
        answer = shifted(x[i], -int(shifts[i]))
        kept = shifted(answer, int(shifts[i]))
        if not np.array_equal(kept, x[i]):
            residual = relative_residual(systems.operators, i, kept.ravel(), systems.rhs[i].ravel())
            ledger["residual"][i] = residual
            if not residual <= rtol:
                log.warning("the answer to system %d leaves the range of %s", i, x.dtype)
                ledger["status"][i], ledger["reason"][i] = "failed", "not_finite"
                answer = np.full_like(answer, np.nan)
        x[i] = answer
    return Solutions(x, ledger)


def relative_residuals(systems: Systems, x: np.ndarray) -> np.ndarray:
    """Return `relative_residual` of the answers ``x`` ``(n, *shape)`` to all systems, ``(n,)`` float64."""
    operators, count = systems.operators, len(systems)
    rhs, x = systems.rhs.reshape(count, -1), x.reshape(count, -1)
    if not operators.constant or isinstance(operators, Stencil):
        return np.array([relative_residual(operators, i, x[i], rhs[i]) for i in range(count)])
    matrix = operators.csr(0)
    # One by one: for a block SciPy wants it transposed, which takes longer than the product.
    left = np.array([norm(b - matrix @ y) for b, y in zip(rhs, x, strict=True)])
    whole = np.array([norm(b) for b in rhs])
    return np.divide(left, whole, out=np.where(left == 0, 0.0, np.inf), where=whole > 0)


def relative_residual(operators: Operators, i: int, x: np.ndarray, rhs: np.ndarray) -> float:
    """Return the true ``‖b − A_i x‖ / ‖b‖`` in double precision; 0 if both are zero, inf if only ``b`` is.

    Whatever the units: where squares leave the range, matrix, ``x`` and ``b`` are brought back by powers of two.
    """
    residual, whole = operators.residual(i, x, rhs)
    if _LEAST <= whole < np.inf and residual < np.inf:
        return residual / whole
    size = operators.magnitude(i)
    if not (math.isfinite(size) and np.isfinite(x).all() and np.isfinite(rhs).all()):
        return np.nan
    of_A, of_b = binary(size), exponent(rhs)
    one = operators.take(slice(i, i + 1))
    moved = one.scaled(np.array([-of_A]))
    # Entries that lie too far apart to be moved stay.
    if np.array_equal(moved.scaled(np.array([of_A])).entries(0), one.entries(0)):
        one = moved
    else:
        of_A = 0
    # In units of b: what vanishes there is nothing beside it, what leaves the range is a miss.
    b = shifted(rhs, -of_b)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        left = norm(b - one.matvec(0, shifted(x, of_A - of_b)))
    if not rhs.any():
        return 0.0 if left == 0 else np.inf
    return left / norm(b)


_LEAST = 2.0**-400
"""Norm from which on nothing of it was lost to underflow."""
