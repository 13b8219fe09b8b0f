from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ritz.compute.kind import Kind
from ritz.compute.solvers.systems import Systems

Read = Callable[[str, str], bytes]
"""Returns an artefact of a store, by its name and its SHA-256."""

Ledger = dict[str, list[Any]]
"""What solving cost, by column, an entry a sample.

``status`` (``"ok"`` or ``"failed"``), ``reason`` (``""``, ``"not_converged"``, ``"breakdown"`` or
``"not_finite"``), ``residual`` (float: true ``‖b − Ax‖/‖b‖`` in float64), ``iterations`` and ``matvecs`` (int),
``seconds`` (float, wall) and ``solver`` (the ``kind`` of the solver that answered).
"""

COLUMNS = ("status", "reason", "residual", "iterations", "matvecs", "seconds", "solver")


@dataclass(frozen=True)
class Solutions:
    """Answers to a batch of systems.

    Attributes
    ----------
    x
        ``(n, *shape)`` solutions, float64 or complex128; NaN where the status is ``"failed"``.
    ledger
        What they cost.
    """

    x: np.ndarray
    ledger: Ledger


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
    work
        What was done, in passes over a vector as `ritz.compute.solvers.iterative.guard.Guard` counts them, set-up
        included, so that settings and methods compare; None where the solver does not count.
    solver
        The ``kind`` of what answered, where that is not the solver that was asked; ``""`` if it is.
    """

    x: np.ndarray | None
    iterations: int
    matvecs: int
    reason: str = ""
    residual: float | None = None
    work: float | None = None
    solver: str = ""


class Solver(Kind, ABC):
    """Answers batches of linear systems and measures the true residual of every answer."""

    by_itself: ClassVar[bool] = True
    """Whether it solves by itself; not if it chooses among others."""

    kind: str

    def unfit(self, systems: Systems) -> str:
        """Return what keeps this solver from solving such systems, in a few words; ``""`` if nothing does."""
        del systems
        return ""

    def expected(self, systems: Systems) -> float | None:
        """Estimate the seconds per system on one core of 2020 or later, to a residual of 1e-8; nothing is measured.

        Figures of the shipped solvers are for grids of 64² to 256² and 32³; only their ratios are used, to leave out
        what has no chance. `ritz.compute.solvers.choice.record.Tried` has them beside the measured seconds.

        Returns
        -------
        seconds
            None where nothing is known; the solver is tried then.
        """
        del systems
        return None

    def settled(self, systems: Systems) -> Solver:
        """Return this solver with all that it would choose for such systems: what is measured and recorded."""
        del systems
        return self

    def equipped(self, read: Read) -> Self:
        """Return this solver with what it needs of a store, such as trained weights; itself where it needs nothing."""
        del read
        return self

    @classmethod
    def candidates_of(cls) -> tuple[Solver, ...]:
        """Return what ``auto`` tries of this class where nobody names anything."""
        return (cls.model_validate({}),)

    def answering(self) -> tuple[str, ...]:
        """Return the kinds of the solvers that may answer in its place."""
        return (self.kind,)

    @abstractmethod
    def solve(self, systems: Systems, *, rtol: float, carry: Any = None) -> tuple[Solutions, Any]:
        """Solve a batch of systems in their order.

        Parameters
        ----------
        systems
            What to solve.
        rtol
            Largest true relative residual ``‖b − Ax‖/‖b‖`` of a good answer, in ``(0, 1)``.
        carry
            State handed back by the call before, None at the start of a sequence. It is not changed, can be
            pickled, and going on from a copy gives the same bits.

        Returns
        -------
        solutions, carry
            A system that misses ``rtol`` is never ``"ok"``.

        Raises
        ------
        ValueError
            If ``rtol`` is not in ``(0, 1)``, or the solver is `unfit` for such systems.
        """


def check_tolerance(rtol: float) -> None:
    """Refuse a tolerance that is none.

    Raises
    ------
    ValueError
        If it is not between 0 and 1.
    """
    if not 0 < rtol < 1:
        raise ValueError(f"rtol is {rtol}, expected a number between 0 and 1, e.g. 1e-8")
