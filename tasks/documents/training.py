"""What a training leaves behind, besides the model."""

from __future__ import annotations

from typing import Literal

from ritz.compute.document import Document, DocumentPart, Json, Number
from ritz.compute.training.training_record import BestValidation, TrainingMachine


class TrainedMember(DocumentPart):
    """One member of an ensemble: its seed, what it learnt from, and what that took.

    Attributes
    ----------
    seed
        Fixes its first weights, the order of its samples and the symmetries by which they were moved.
    batches
        Whether it saw the samples as they were solved or those of the published version.
    steps, seconds
        As of a training by itself.
    """

    seed: int
    batches: Literal["stream", "version"]
    steps: int
    seconds: Number


class TrainingSummary(Document):
    """A finished training in numbers.

    Attributes
    ----------
    steps
        That were done; a fit is one.
    first_step, last_step
        When they were done, `time.time`.
    parameters
        Numbers that were learnt.
    waited
        Seconds without a sample to learn from.
    seconds
        In the steps and their validation.
    samples_received
        Training samples that came.
    any_grid
        Whether the model takes other grids than the dataset's.
    stopped
        The last step where it was stopped early, else None.
    best
        Whose weights were kept, None where those of the last step were.
    unseen
        Received samples that are in no step.
    members
        Of an ensemble, whose parameters and seconds are those of all of them; all else is of the first. None otherwise.
    """

    steps: int
    first_step: Number
    last_step: Number
    parameters: int
    waited: Number = 0
    seconds: Number
    machines: tuple[TrainingMachine, ...] = ()
    samples_received: int
    any_grid: bool = False
    stopped: int | None = None
    best: BestValidation | None = None
    unseen: int = 0
    members: tuple[TrainedMember, ...] | None = None

    def differences(self) -> str:
        """Return in a sentence what differs between the members of an ensemble; empty where there are none."""
        if not self.members:
            return ""
        seeds = ", ".join(str(one.seed) for one in self.members)
        streamed = sum(one.batches == "stream" for one in self.members)
        source = f", {streamed} of them on the stream and the others on the published version" if streamed else ""
        return (
            f"{len(self.members)} members, trained with the seeds {seeds}: they differ in their first weights, in the "
            f"order of their samples and in the symmetries by which these are moved{source}"
        )


class Arrival(DocumentPart):
    """A shard that came to the trainer, and when, `time.time`."""

    shard: int
    time: Number


class Forecast(DocumentPart):
    """The error of the model on a sample that had just come, before it learnt from it: after how many steps."""

    id: int
    step: int
    relative_l2: Number


class History(Document):
    """How a training went, step by step.

    Attributes
    ----------
    curve
        A mapping a step: ``step``, ``time``, ``loss``, ``received``, ``validate``, ``validation``; see
        `ritz.compute.training.parts.curve.Record`. There may be a million of them, so they are kept as JSON has them.
    validation
        Ids of the samples of the validation error.
    total
        Steps that the schedule of the learning rate was made for.
    forecasts
        Errors on samples that had just come, a few of each shard; see
        `ritz.compute.training.samples.forecasts.Forecasts`.
    """

    curve: tuple[Json, ...]
    received: tuple[Arrival, ...] = ()
    validation: tuple[int, ...] = ()
    total: int | None = None
    forecasts: tuple[Forecast, ...] = ()
    seconds: Number | None = None
    machines: tuple[TrainingMachine, ...] | None = None
