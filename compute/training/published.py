from __future__ import annotations

from abc import ABC
from typing import TypeVar

from pydantic import Field

from ritz.compute.kind import in_units
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.loop import Loop
from ritz.compute.training.run import Run
from ritz.compute.training.samples.supply import Reading, Supply
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.training import Training


class Published(Training, ABC):
    """Training on a published version of a dataset: a fixed set of samples that can be read again and again."""

    fitted_on: int = Field(default=4096, ge=1, le=1_000_000)
    """Training samples, at most, from which the normalisation comes."""
    memory: int = Field(default=2048, ge=0, le=10_000_000)
    """MiB that the training samples may take to be kept in memory; of more, shards are read as often as they are
    needed."""
    window: int = Field(default=8, ge=8, le=65536, json_schema_extra=in_units("shards"))
    """Shards that are mixed where samples are not kept in memory."""

    @property
    def least(self) -> int:
        """Training samples without which it does not begin: one; see `Training.least`."""
        return 1

    def normalised_on(self, samples: int) -> tuple[int, str]:
        """Return `fitted_on`, or all where there are fewer; see `Training.normalised_on`."""
        if self.fitted_on < samples:
            return self.fitted_on, f"fitted_on is {self.fitted_on}"
        return samples, f"kind is {self.kind!r} on {samples} training samples"


P_co = TypeVar("P_co", bound=Published, covariant=True)


class PublishedRun(Run[P_co]):
    """What one call of the ``fit`` of such a training does.

    Attributes
    ----------
    epochs
        The samples.
    """

    def __init__(self, training: P_co, surrogate: Surrogate, source: Supply, around: Surroundings) -> None:
        reading = Reading(training.seed, training.memory, training.window, training.validation)
        self.epochs = source.epochs(reading)
        if self.epochs.samples == 0:
            raise ValueError("there is no training sample; at least one sample of the split 'train' must be in the set")
        super().__init__(training, surrogate, source, self.epochs.samples, around)

    def begin(self) -> Loop:
        """Make the loop before its first step, with the normalisation and the samples to validate on."""
        epochs, training = self.epochs, self.training
        loop = self.new(self.normalised(epochs.head(training.fitted_on)))
        if self.group.rank == 0:
            loop.reception.count(epochs.samples)
            loop.validation.add(*epochs.validation(training.validation))
        return loop
