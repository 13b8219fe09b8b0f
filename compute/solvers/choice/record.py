"""What the choice of a solver measured, as it is kept."""

from __future__ import annotations

from pydantic import Field

from ritz.compute.document import Document, DocumentPart, Json, Number


class Timing(DocumentPart):
    """What a solver took for some systems.

    Attributes
    ----------
    systems
        How many it was given.
    iterations, matvecs
        Means.
    seconds
        Of the processor, median per system.
    max_residual
        Largest true relative residual; None if not finite.
    """

    systems: int
    iterations: Number
    matvecs: Number
    seconds: Number
    max_residual: Number | None


class Tried(Timing):
    """A candidate and what it took.

    Attributes
    ----------
    solver
        Its fields.
    expected
        Seconds that it was expected to take per system, if there was an expectation.
    missed
        Systems that it could not answer itself.
    """

    solver: Json
    expected: Number | None
    missed: int


class LeftOut(DocumentPart):
    """A candidate that was not tried, and why."""

    solver: Json
    reason: str


class Choice(Document):
    """How a solver was chosen; without any entry where a recipe names the solver.

    Attributes
    ----------
    systems, unknowns
        On how many systems the candidates were tried, and how large these are.
    rtol
        Largest true relative residual of a good answer.
    chosen
        Fields of the winner.
    ratio
        Seconds of the best other candidate that missed nothing over those of the winner, None if there is none.
    """

    systems: int = 0
    unknowns: int = 0
    rtol: Number | None = None
    tried: tuple[Tried, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    chosen: Json = Field({})
    ratio: Number | None = None


class PanelRow(Timing):
    """A way of solving: ``recycled, carry``, ``recycled, no carry`` or ``direct``, in an order of the systems.

    Attributes
    ----------
    order
        ``sorted`` or ``unsorted``.
    """

    method: str
    order: str
