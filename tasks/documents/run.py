"""The record of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from ritz.compute.cluster.usage import Usage
from ritz.compute.document import Document, DocumentPart, Json, Number
from ritz.compute.evaluation.matched_record import EqualSeconds
from ritz.compute.solvers.choice.record import Choice, PanelRow
from ritz.compute.solvers.tuning.record import Tuning
from ritz.tasks.documents.calibration import BarSeconds, Coverage, Shifted
from ritz.tasks.documents.card import ModelVersion
from ritz.tasks.documents.cost import BreakEven, Cost
from ritz.tasks.documents.dataset import DatasetVersion, LedgerSummary, PublishedDataset
from ritz.tasks.documents.evaluation import Metrics
from ritz.tasks.documents.propagation import PropagationRecord
from ritz.tasks.documents.provenance import Machine
from ritz.tasks.documents.solving import Solving
from ritz.tasks.documents.verdict import Verdict

Status = Literal["running", "finished", "failed", "interrupted"]
"""How far a run has come, or how it ended."""


class Paths(DocumentPart):
    """Where a run lies, for a person to open: the store, and the page of a finished run."""

    report: str | None = None
    store: str


class Times(DocumentPart):
    """How long a run took, in seconds, and what was done when.

    Attributes
    ----------
    first_step, last_shard
        Since the run began; the latter is None where no shard was left to solve.
    steps, steps_while_solving
        Steps of the training, and how many of them were done before the last shard was committed.
    generate, train, evaluate
        Of the stages; generating and training overlap.
    total
        Of all; None before the page is drawn.
    """

    first_step: Number
    last_shard: Number | None
    steps: int
    steps_while_solving: int
    generate: Number
    train: Number
    evaluate: Number | None = None
    total: Number | None = None


class Memory(DocumentPart):
    """Largest resident size of the driver, in bytes."""

    driver_peak: int


class ModelOfRun(ModelVersion, Verdict):
    """The model of a run, how many parameters it has, and what became of it at its gate."""

    parameters: int | None = None


class RunRecord(Document):
    """What is known of a run from its start on.

    Attributes
    ----------
    run
        Its id.
    identity
        Hash of the recipe.
    fit
        Identity of its training.
    created
        When it began, ISO 8601.
    command
        What was typed.
    recipe
        The document of its `ritz.tasks.pipeline.Pipeline`; empty where a record lost it.
    error
        Why it ended, where it did not finish.
    dataset, model
        What it has come to, if it has.
    usage
        What it took of machines, where it got as far as workers; a finished run counts interrupted and failed attempts
        before it.
    """

    run: str
    status: Status
    identity: str
    fit: str | None = None
    created: str
    command: tuple[str, ...] = ()
    recipe: Json = Field({})
    versions: Mapping[str, str | None] = {}
    machine: Machine | None = None
    paths: Paths | None = None
    error: str | None = None
    dataset: DatasetVersion | None = None
    model: ModelVersion | None = None
    usage: Usage | None = None


class FinishedRun(RunRecord):
    """What a run has come to.

    Attributes
    ----------
    metrics, baselines
        Errors of the model and of each baseline on the test split.
    coverage, bar_seconds, ranking, shifted
        What its error bars were worth, what they take per prediction, how well estimated errors rank the true ones, and
        what they were worth on other laws, by their names.
    population
        What was asked about the population of the law, with the answers.
    choice, panel
        How the solver was chosen, and what order and recycling are worth.
    solving
        How well the solve workers were used; None if nothing was left to solve.
    tuning
        What a solver that tunes itself has learnt; None where it does not.
    """

    paths: Paths
    dataset: PublishedDataset
    model: ModelOfRun
    metrics: Metrics
    baselines: Mapping[str, Metrics]
    coverage: Coverage
    bar_seconds: BarSeconds | None = None
    population: tuple[PropagationRecord, ...] = ()
    ranking: Mapping[str, Number | None] = {}
    shifted: Mapping[str, Shifted] = {}
    cost: Cost | None = None
    break_even: BreakEven | None = None
    equal_seconds: EqualSeconds | None = None
    ledger: LedgerSummary
    choice: Choice = Choice()
    panel: tuple[PanelRow, ...] = ()
    times: Times
    solving: Solving | None = None
    tuning: Tuning | None = None
    memory: Memory | None = None
