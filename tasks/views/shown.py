"""What a store knows of a name."""

from __future__ import annotations

from collections.abc import Mapping

from ritz.compute.document import DocumentPart, Json
from ritz.tasks.documents.card import Card
from ritz.tasks.documents.evaluation import Evaluation
from ritz.tasks.documents.law_calibration import LawCalibration
from ritz.tasks.documents.run import RunRecord
from ritz.tasks.documents.users import Uses
from ritz.tasks.documents.verdict import Verdict


class Progress(DocumentPart):
    """How far a dataset is: samples that are ok, that failed, and that are to be solved.

    Attributes
    ----------
    in_flight
        Samples that are being solved now; this and what follows is said of a dataset that is not complete.
    driver
        Who works on it, None if nobody does.
    samples_per_second
        Of the last commits, None without any.
    """

    done: int
    failed: int
    to_go: int
    in_flight: int | None = None
    driver: str | None = None
    samples_per_second: float | None = None


class ShownVersion(DocumentPart):
    """A version of a dataset: its size, the samples of each split, and what was made with it."""

    version: str
    snapshot: str
    created: str
    samples: int
    bytes: int | None
    splits: Mapping[str, int]
    used_by: Uses


class ChosenVersion(DocumentPart):
    """The version that was asked for."""

    version: str
    snapshot: str


class ShownDataset(DocumentPart):
    """A dataset with its versions."""

    name: str
    progress: Progress
    versions: tuple[ShownVersion, ...]
    chosen: ChosenVersion | None = None
    shard: int
    identity: str
    recipe: Json


class ShownModel(Card):
    """A model: its card, and what was measured of it since, without the errors of single samples.

    Attributes
    ----------
    laws
        How bands for other laws were calibrated, by the names of these.
    """

    version: str
    evaluation: Evaluation | None = None
    laws: Mapping[str, LawCalibration] = {}
    release: Verdict | None = None


class Shown(DocumentPart):
    """What bears a name: a dataset, a model, a run."""

    dataset: ShownDataset | None = None
    model: ShownModel | None = None
    run: RunRecord | None = None
