"""How a replay compares with what was recorded, as it is reported."""

from __future__ import annotations

from ritz.compute.document import DocumentPart, Number


class MachineDifference(DocumentPart):
    """What of a machine is not as recorded: an attribute of a `TrainingMachine`, as it was and as it is."""

    what: str
    recorded: str | int | bool | None
    here: str | int | bool | None


class StepDifference(DocumentPart):
    """The first step, from 1, whose loss is another."""

    step: int
    recorded: Number
    replayed: Number


class Comparison(DocumentPart):
    """How a replay compares with what was recorded; see `ritz.compute.training.replay.compare`.

    Attributes
    ----------
    agrees
        The verdict.
    exact
        Whether bits were compared: machine, versions and threads are the same.
    differing
        What of the machine is not as recorded.
    tolerance
        Of the losses of the curve, None if exact.
    equal
        Whether all bits are equal: losses, curve and weights.
    first_difference
        None if there is none.
    steps, steps_differing
        All of them, and those whose loss is another.
    records
        Those of the curve that were compared.
    curve_difference
        Largest relative difference of their losses and validation errors.
    weights_difference
        Largest of a weight over the largest weight of its tensor.
    tensors
        Of the model.
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
