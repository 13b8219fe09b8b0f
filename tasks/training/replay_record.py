"""What a training that was done again is reported as."""

from __future__ import annotations

from ritz.compute.document import Number
from ritz.compute.training.replay_comparison import Comparison
from ritz.compute.training.training_record import TrainingMachine
from ritz.tasks.documents.dataset import DatasetVersion


class ComparedReplay(Comparison):
    """The same with the machines on which the training was done then and now, and the seconds of doing it again."""

    machines: tuple[TrainingMachine, ...]
    here: tuple[TrainingMachine, ...]
    seconds: Number


class ReplayedModel(ComparedReplay):
    """The same with the model, ``NAME@VERSION``, and what it was trained on."""

    model: str
    dataset: DatasetVersion
