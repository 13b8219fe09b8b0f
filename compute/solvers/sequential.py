from __future__ import annotations

import logging
import time
from abc import abstractmethod
from typing import Any

import numpy as np

from ritz.compute.solvers.certify import Fallback, certify, relative_residuals, restored
from ritz.compute.solvers.factorization.elimination import Elimination
from ritz.compute.solvers.solver import Attempt, Ledger, Solutions, Solver, check_tolerance
from ritz.compute.solvers.systems import Systems


class Sequential(Solver):
    """Answers systems one after the other, carrying a state along.

    A subclass answers one system in `attempt`; `solve` sees to the rest: `ritz.compute.solvers.certify.certify`
    measures the true residual of every answer, gives a system that misses the tolerance to the `fallback`, and marks
    it as failed when that misses too.
    """

    def fallback(self) -> Fallback | None:
        """Return what answers the systems that this solver misses; None where nothing does."""
        return Elimination()

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
        check_tolerance(rtol)
        return self.answered(systems, rtol=rtol, carry=carry, fallback=self.fallback())

    def answered(
        self,
        systems: Systems,
        *,
        rtol: float,
        carry: Any,
        fallback: Fallback | None,
        level: int = logging.WARNING,
    ) -> tuple[Solutions, Any]:
        """Solve as `solve` does, with another fallback.

        Parameters
        ----------
        systems, carry
            As in `solve`.
        rtol
            Largest true relative residual of a good answer, which may be 1.
        fallback
            Answers what this solver misses; None where nothing does, and it has failed.
        level
            At which the log has the systems that are missed.

        Returns
        -------
        solutions, carry
        """
        reason = self.unfit(systems)
        if reason:
            raise ValueError(f"solver is {self.kind!r}: {reason}; expected a solver that can, such as 'auto'")
        start = time.perf_counter()
        systems, shifts, finite = systems.balanced()
        at_once = self.together(systems) if finite.all() else None
        good: dict[int, float] = {}
        if at_once is not None:
            residuals = enumerate(relative_residuals(systems, at_once, range(len(systems))))
            good = {i: residual for i, residual in residuals if residual <= rtol}
        share = (time.perf_counter() - start) / max(len(systems), 1)
        dtype = np.result_type(systems.operators.dtype, systems.rhs.dtype)
        # Those that are missing are filled in.
        x = np.full(systems.rhs.shape, np.nan, dtype=dtype) if at_once is None else at_once
        spent: Ledger = {name: [] for name in ("reason", "residual", "iterations", "matvecs", "seconds", "solver")}
        for i in range(len(systems)):
            start = time.perf_counter()
            attempt = Attempt(None, 0, 0, "not_finite")
            if i in good:
                attempt = Attempt(x[i], 0, 1, residual=good[i])
            elif finite[i]:
                attempt, carry = self.attempt(systems, i, rtol=rtol, carry=carry)
                if attempt.x is not None:
                    x[i] = attempt.x.reshape(x.shape[1:])
            spent["reason"].append(attempt.reason)
            spent["residual"].append(np.nan if attempt.x is None else attempt.residual)
            spent["iterations"].append(attempt.iterations)
            spent["matvecs"].append(attempt.matvecs)
            spent["seconds"].append(time.perf_counter() - start + share)
            spent["solver"].append(attempt.solver or self.kind)
        solutions = certify(systems, x, rtol, fallback, spent=spent, finite=finite.tolist(), level=level)
        return restored(systems, solutions, shifts, rtol), carry
