"""What a model cost, what a prediction costs, and from how many on it has paid for itself."""

from __future__ import annotations

from collections.abc import Mapping

from ritz.compute.document import DocumentPart, Number
from ritz.compute.evaluation.matched_record import EqualSeconds, LeftOutGrids, Trial

UNKNOWN = 1.0
"""Spread of timings of which it was not measured: they are worth one digit."""


class TrainingData(DocumentPart):
    """What the samples of a training cost: seconds of solvers, summed over all samples of the dataset."""

    dataset: str
    samples: int
    failed: int
    solver_seconds: Number


class TrainingCost(DocumentPart):
    """What the training itself cost: seconds of the trainer in its steps, without waiting for samples."""

    training_seconds: Number
    steps: int
    devices: tuple[str, ...]


class Inference(DocumentPart):
    """What a prediction costs, seconds per sample, one at a time and in batches; on what it was measured comes after.

    Attributes
    ----------
    spread, spread_batched
        By what factor repeats of the timings differ, above 1.
    batch
        Samples of a batch.
    """

    seconds: Number
    spread: Number = UNKNOWN
    seconds_batched: Number
    spread_batched: Number = UNKNOWN
    batch: int


class Cost(DocumentPart):
    """All of these, and what their seconds are."""

    training_data: TrainingData
    training: TrainingCost
    inference: Inference
    units: Mapping[str, str]


class BreakEven(DocumentPart):
    """From how many queries on a model has paid for itself against the fastest solve at matched error.

    Attributes
    ----------
    dataset
        ``NAME@VERSION`` on whose test samples the solver was sought.
    measured
        Whether it could be measured; if not, `reason` says why.
    queries, queries_batched
        One at a time and in batches; None for never.
    spread, spread_batched
        By what factor repeats of their timings differ.
    spent
        Seconds before the first query.
    error, samples, tried, left_out, complete, fastest
        See `ritz.compute.evaluation.matched_record.Matched`.
    """

    dataset: str | None = None
    measured: bool
    reason: str | None = None
    queries: int | None = None
    queries_batched: int | None = None
    spread: Number = UNKNOWN
    spread_batched: Number = UNKNOWN
    spent: Number | None = None
    sentence: str | None = None
    error: Number | None = None
    samples: int | None = None
    tried: tuple[Trial, ...] = ()
    left_out: tuple[LeftOutGrids, ...] = ()
    complete: bool | None = None
    fastest: Trial | None = None


class Priced(DocumentPart):
    """Both, as they are added to a card; of a problem in time the solve that takes as long as a prediction, too."""

    cost: Cost
    break_even: BreakEven
    equal_seconds: EqualSeconds | None = None
