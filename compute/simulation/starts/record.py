"""What the choice of a start measured, as it is kept."""

from __future__ import annotations

from ritz.compute.document import DocumentPart, Json, Number

OWN = "own"
"""Names the start that a problem makes itself: zero, or the state before a time step."""


class StartTried(DocumentPart):
    """A start and what solving from it took.

    Attributes
    ----------
    start
        `OWN`, or the name of the others.
    samples
        How many were solved from it.
    residual
        Median relative residual of the fields it begins at, 1 for zero where the equations are linear; None of the
        problem's own start.
    iterations, systems
        Means per sample: iterations of the solver, and systems, such as steps of Newton's method or through time.
    seconds
        Of the processor per sample, to make the start and to solve from it; median over batches.
    lost
        Samples that it did not lead to a solution, so that the problem's own start was taken.
    missed
        Samples that have no good solution.
    """

    start: str
    samples: int
    residual: Number | None
    iterations: Number
    systems: Number
    seconds: Number
    lost: int
    missed: int


class StartLeftOut(DocumentPart):
    """A start that was not tried, and why."""

    start: str
    reason: str


class StartChoice(DocumentPart):
    """How a start was chosen.

    Attributes
    ----------
    rtol
        Largest true relative residual of a good sample.
    tried
        In the order of their seconds; empty where there is nothing to choose from.
    chosen
        Name of the winner.
    ratio
        Seconds of the best other start that missed no more over those of the winner; None if there is none.
    solver
        Fields of the solver that answers the systems from the chosen start.
    """

    rtol: Number
    tried: tuple[StartTried, ...] = ()
    left_out: tuple[StartLeftOut, ...] = ()
    chosen: str
    ratio: Number | None = None
    solver: Json
