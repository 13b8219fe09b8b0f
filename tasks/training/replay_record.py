"""What a training that was done again is reported as."""

from __future__ import annotations

from typing import Any

from ritz.compute.document import Number, Part
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.documents.training import TrainingMachine


class MachineDifference(Part):
    """Something of the machine that is not as recorded."""

    what: str
    recorded: Any
    here: Any


class StepDifference(Part):
    """The first step, from 1, whose loss is another."""

    step: int
    recorded: Number
    replayed: Number


class Replayed(Part):
    """How a training that was done again compares with what was recorded; see `ritz.compute.training.replay.compare`.

    Attributes
    ----------
    agrees
        The verdict.
    exact
        Whether bits were compared: machine, versions and threads are the same.
    tolerance
        Of the losses of the curve, None if exact.
    equal
        Whether all bits are equal: losses, curve and weights.
    steps_differing, records, tensors
        Steps with another loss; rows of the curve and tensors that were compared.
    curve_difference, weights_difference
        Largest relative ones.
    machines, here
        On what it was done then and now.
    seconds
        That doing it again took.
    """

    agrees: bool
    exact: bool
    differing: tuple[MachineDifference, ...]
    tolerance: Number | None
    equal: bool
    first_difference: StepDifference | None
    steps: int
    steps_differing: int
    records: int
    curve_difference: Number
    weights_difference: Number
    tensors: int
    machines: tuple[TrainingMachine, ...]
    here: tuple[TrainingMachine, ...]
    seconds: Number


class ReplayedModel(Replayed):
    """The same with the model, ``NAME@VERSION``, and what it was trained on."""

    model: str
    dataset: DatasetVersion
