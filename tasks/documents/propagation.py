"""An answer about a population, as it is kept: the question, the intervals, what they cost, and what did not pay."""

from __future__ import annotations

from ritz.compute.document import Document, DocumentPart, Json, Number


class RungRow(DocumentPart):
    """A rung in the pilot.

    Attributes
    ----------
    name
        Of the rung.
    seconds
        Per sample, its draw included.
    rho2
        Of each quantity, the squared correlation with the truth with the ends of its 95 % interval; None of the truth.
    bias
        Of each quantity, the mean difference to the truth in the pilot, relative to the mean of the truth.
    samples
        In the estimate; 0 where the rung was not taken.
    """

    name: str
    seconds: Number
    rho2: tuple[tuple[Number, Number, Number], ...] | None = None
    bias: tuple[Number | None, ...] | None = None
    samples: int


class AnswerRow(DocumentPart):
    """The answer for one quantity.

    Attributes
    ----------
    quantity
        Its name.
    question
        ``"mean"``, ``"standard deviation"``, ``"above 0.15"``, ``"quantile 0.95"``, ``"first index of coordinate 1"``,
        ``"total index of the rest"``.
    value, low, high
        The estimate and the ends of its interval.
    samples
        Of which it is made: solves of the truth among them in ``solved``.
    solved
        Solves of the truth.
    plain_seconds
        What plain Monte Carlo would take for an interval as narrow, as the pilot says; None where that is not known.
    """

    quantity: str
    question: str
    value: Number
    low: Number
    high: Number
    samples: int
    solved: int
    plain_seconds: Number | None = None


class PropagationRecord(Document):
    """An answer about the population of a law.

    Attributes
    ----------
    about
        Model or recipe, as asked.
    law
        Fields of the problem with other values; empty for the law of the dataset. Or, with ``rows``, kind, dataset and
        parameters of a law that is made of the rows of a dataset.
    rows
        Of which the law is made; None for a law of the problem.
    seed
        Of the population.
    question
        As a recipe has it; see `ritz.compute.uncertainty.propagation.propagation.Propagation`.
    level
        Of the intervals.
    rungs
        What the pilot found, the truth first.
    left_out
        Why other rungs are none, by name.
    chosen
        The chain of rungs, or the truth and what judged samples far from the threshold.
    quasi_random
        Coordinates of quasi-random points; 0 for random samples.
    answers
        Of each quantity.
    reached
        Whether the intervals are as narrow as asked for.
    pilot_seconds
        Of the pilot, on all workers; it is in no estimate.
    seconds
        Of the estimate by rung, on all workers.
    wall_seconds
        By the clock on the wall, the pilot's among them.
    """

    about: str
    law: Json
    rows: int | None = None
    seed: int
    question: Json
    level: Number
    rungs: tuple[RungRow, ...]
    left_out: Json
    chosen: tuple[str, ...]
    quasi_random: int
    answers: tuple[AnswerRow, ...]
    reached: bool
    pilot_seconds: Number
    seconds: Json
    wall_seconds: Number
