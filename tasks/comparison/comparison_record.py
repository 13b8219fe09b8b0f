"""What is kept of a comparison of online with offline training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ritz.compute.document import Document, DocumentPart, Json, Number
from ritz.compute.training.training_record import TrainingMachine
from ritz.tasks.documents.dataset import LedgerSummary, PublishedDataset
from ritz.tasks.documents.evaluation import ErrorSummary


class TrainedSeed(Document):
    """One training of a comparison.

    Attributes
    ----------
    samples
        Training simulations that it was given.
    received, seen
        Those that came, and those that are in a step.
    seconds
        In its steps and their validation.
    first_weights
        SHA-256 of the weights it began with.
    test
        Relative L2 error over the test samples.
    curve
        Rows of `ritz.tasks.documents.training.History.curve` with a validation error.
    """

    arm: str
    seed: int
    samples: int
    steps: int
    received: int
    seen: int
    seconds: Number
    parameters: int
    first_weights: str
    test: ErrorSummary
    curve: tuple[Json, ...]
    machines: tuple[TrainingMachine, ...]


class ArmRecord(DocumentPart):
    """One way to train, with its results in the order of the seeds; see `ritz.tasks.comparison.plan.Arm`."""

    name: str
    samples: int
    steps: int
    seeds: tuple[TrainedSeed, ...]


class ArmSize(DocumentPart):
    """The size of an arm, see `ritz.tasks.comparison.plan.Arm`."""

    name: str
    samples: int
    steps: int


class Clock(DocumentPart):
    """By what the arm of equal wall time was sized; all but the last in seconds.

    Attributes
    ----------
    seconds
        Until offline training ends.
    simulation
        Between two simulations, with all solvers at work.
    step
        Per gradient step.
    begin
        When online training begins.
    could_solve
        Simulations that could be solved in the time.
    solver_seconds
        Of a simulation on one solver.
    solvers
        Workers that solve.
    """

    seconds: Number
    simulation: Number
    step: Number
    begin: Number
    could_solve: int
    solver_seconds: Number | None = None
    solvers: int | None = None


class MeasuredClock(Document, Clock):
    """The clock with the arm that it gave, as it is kept so that a resumed comparison is the same."""

    arm: ArmSize


class GainRow(DocumentPart):
    """The gain of an online arm over offline; see `ritz.compute.evaluation.paired.Gain`.

    Attributes
    ----------
    verdict
        ``better``, ``worse`` or ``undecided``.
    pairs
        Seeds.
    online, offline
        Medians of the mean test errors.
    same_first_weights
        Whether the networks of every pair began with the same weights.
    """

    mean: Number
    low: Number
    high: Number
    level: Number
    won: int
    log_ratios: tuple[Number, ...]
    verdict: Literal["better", "worse", "undecided"]
    pairs: int
    online: Number
    offline: Number
    same_first_weights: bool


class ComparisonPaths(DocumentPart):
    """Where a comparison lies: the store, and its page."""

    store: str
    page: str


class ComparisonRecord(Document):
    """A comparison of online with offline training over several seeds.

    Attributes
    ----------
    comparison
        Beginning of its identity.
    samples, epochs, fresh, steps
        Sizes; see `ritz.tasks.comparison.plan.Contest`.
    arms, gains
        By the name of the arm.
    published
        Gains that were published, by network.
    """

    comparison: str
    kind: Literal["online-offline"]
    name: str
    created: str
    command: tuple[str, ...]
    recipe: Json
    dataset: PublishedDataset
    ledger: LedgerSummary
    samples: int
    epochs: Number
    fresh: int
    steps: int
    seeds: tuple[int, ...]
    clock: Clock
    arms: Mapping[str, ArmRecord]
    gains: Mapping[str, GainRow]
    published: Mapping[str, float]
    seconds: Number
    versions: Mapping[str, str]
    paths: ComparisonPaths
