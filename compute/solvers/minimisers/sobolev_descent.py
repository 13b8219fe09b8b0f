from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.solvers.backtracking import backtracked, rows
from ritz.compute.solvers.minimisers.energy import Energy
from ritz.compute.solvers.minimisers.minimiser import Minimiser, Solve, lowered
from ritz.compute.solvers.scaling import norms
from ritz.compute.solvers.systems import Systems


class SobolevDescent(Minimiser):
    """Steepest descent in the metric P of the energy: x moves by −τ P⁻¹ g, with one P for all steps.

    With −Δ for P a step is one Poisson solve, and the gradient is that of a Sobolev space. The number of steps is
    proportional to the quotient of the extreme curvatures of the energy, seen by P: the grid hardly changes it for a
    constant stiffness, and for the rough random one of `Variational` it grows (``benchmarks/newton.txt``). Newton's
    method takes fewer steps, with another matrix in each.

    The length τ begins at 1 and doubles in each step until a step is too long: its energy falls by less than half of
    what the slope promises. Then it is halved, and never grows again, so that the error falls by a constant factor.

    Source: J. W. Neuberger, "Sobolev Gradients and Differential Equations", Springer LNM 1670, 2nd edition, 2010. That
    it converges exponentially whatever the grid, with consequences for networks: T. Marwah, Z. C. Lipton, J. Lu, A.
    Risteski, "Neural network approximations of PDEs beyond linearity: a representational perspective", ICML 2023.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source("J. W. Neuberger", "Sobolev Gradients and Differential Equations", 2010, "Springer LNM 1670"),
        Source(
            "T. Marwah, Z. C. Lipton, J. Lu, A. Risteski",
            "Neural network approximations of PDEs beyond linearity: a representational perspective",
            2023,
            "ICML",
            "the error falls exponentially, at a rate that the grid does not change",
            "newton.txt",
        ),
    )

    kind: Literal["sobolev"] = "sobolev"
    steps: int = Field(default=5000, ge=1, le=1_000_000, json_schema_extra=in_units("steps"))
    """Most steps."""

    def minimise(
        self, energy: Energy, x: np.ndarray, solve: Solve, *, bound: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Minimise by one batch of systems with the metric a step; see `Minimiser.minimise`."""

        def left_over(x: np.ndarray) -> np.ndarray:
            return -energy.gradient(x)

        # One object for all steps, so that a solver may keep what it makes of it.
        metric = energy.metric()
        left, lost = left_over(x), np.zeros(len(x), dtype=bool)
        length, grows = np.ones(len(x)), np.ones(len(x), dtype=bool)
        for _ in range(self.steps):
            wanted = (norms(left) > bound) & ~lost
            if not wanted.any():
                break
            change = solve(Systems(metric, np.where(rows(wanted, left), left, 0.0)))
            slope = np.sum(left * change, axis=tuple(range(1, x.ndim)))
            enough = lowered(energy, energy.value(x), slope, 0.5)
            stepped = backtracked(x, change, left, wanted & (slope > 0), left_over, enough, length)
            x, left, lost = stepped.x, stepped.left, lost | stepped.stuck | (wanted & ~(slope > 0))
            grows &= stepped.parts == length
            length = np.where(grows & wanted, 2 * stepped.parts, stepped.parts)
        return x, lost | (norms(left) > bound)
