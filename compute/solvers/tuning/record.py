"""What tuning came to, as it is kept."""

from __future__ import annotations

from ritz.compute.document import DocumentPart, Json, Number


class Arm(DocumentPart):
    """A setting and what it cost.

    Attributes
    ----------
    solver
        Its fields.
    systems
        How many it answered.
    work
        Mean per system of those, in passes over a vector; None if there are none.
    everywhere
        Estimated mean had it answered all systems, None if it answered none.
    """

    solver: Json
    systems: int
    work: Number | None
    everywhere: Number | None


class Tuning(DocumentPart):
    """What a solver that tunes itself has learnt over the shards of a dataset, each counted once.

    Attributes
    ----------
    policy
        Its fields.
    arms
        In the order of the recipe.
    systems
        All that were answered; a sample in time steps poses several.
    work
        Mean per system, in passes over a vector.
    best
        Position of the arm that would have cost least on all systems, by the estimates: the best fixed one in
        hindsight.
    regret
        ``work`` over that of the best fixed arm, less 1; below 0 where different arms suit different systems.
    """

    policy: Json
    arms: tuple[Arm, ...]
    systems: int
    work: Number
    best: int
    regret: Number
