"""What is known of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ritz.compute.cluster.usage import Usage
from ritz.compute.document import Document, DocumentPart, Json
from ritz.compute.evaluation.matched_record import EqualSeconds
from ritz.tasks.documents.calibration import Calibration
from ritz.tasks.documents.cost import BreakEven, Cost
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.documents.evaluation import Metrics, TruthErrors
from ritz.tasks.documents.propagation import PropagationRecord
from ritz.tasks.documents.training import TrainingSummary


class ModelVersion(DocumentPart):
    """A version of a model."""

    name: str
    version: str

    @property
    def spec(self) -> str:
        """``"name@v1"``, by which it can be loaded."""
        return f"{self.name}@{self.version}"


class Variable(DocumentPart):
    """A variable that a model takes or gives: its dimensions besides that of the samples, its dtype and attributes."""

    dims: tuple[str, ...]
    dtype: str
    attrs: Mapping[str, str]


class CardMetrics(Metrics):
    """The errors of a card, with the dataset they were measured on and how many test samples it has."""

    dataset: str
    samples: int


class Origin(DocumentPart):
    """What made a model.

    Attributes
    ----------
    name
        Of the recipe.
    dataset
        What it was trained on.
    recipe
        The document of its `ritz.tasks.pipeline.Pipeline`.
    run
        The run that trained it; None where it was trained by itself.
    """

    name: str
    dataset: DatasetVersion
    recipe: Json
    mode: Literal["online", "offline"]
    run: str | None = None
    training: TrainingSummary


class Card(Document, Origin):
    """What made a model, what it takes and gives, and what was measured of it since.

    Attributes
    ----------
    inputs, outputs
        By name.
    space
        Dimensions of space.
    sizes
        Points along each dimension.
    grid, coordinates
        Positions of the points along the dimensions that have any, and their attributes.
    identity
        Hash of what fixes the model.
    metrics, truth, calibration, cost, break_even, equal_seconds
        None until they are measured; the last also of a problem that is not in time.
    usage
        What the run that made it took of machines; None where it was trained by itself.
    population
        What was asked about populations with it, with the answers.
    """

    inputs: Mapping[str, Variable]
    outputs: Mapping[str, Variable]
    space: tuple[str, ...]
    sizes: Mapping[str, int]
    grid: Mapping[str, tuple[Any, ...]]
    coordinates: Mapping[str, Mapping[str, str]]
    identity: str
    metrics: CardMetrics | None = None
    truth: TruthErrors | None = None
    calibration: Calibration | None = None
    cost: Cost | None = None
    break_even: BreakEven | None = None
    equal_seconds: EqualSeconds | None = None
    usage: Usage | None = None
    population: tuple[PropagationRecord, ...] = ()
