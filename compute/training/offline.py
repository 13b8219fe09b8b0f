from __future__ import annotations

import logging
import math
import time
from typing import Literal

from pydantic import Field

from ritz.compute.kind import in_units
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.run import Run, seeded
from ritz.compute.training.samples.epochs import Epochs, batches
from ritz.compute.training.samples.supply import Reading, Supply
from ritz.compute.training.stepped import Stepped
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.trained import Trained

log = logging.getLogger(__name__)


class Offline(Stepped):
    """Training on a published version of a dataset: epochs over a fixed set of samples in seeded random order.

    An epoch sees every sample once. With several ``ranks`` all of them go through the same epochs, and each takes its
    part of every batch. The samples of all epochs are cut into whole batches, so that a batch may reach over from one
    epoch into the next, and the last of all may take a few samples of one epoch more. There are ``epochs`` · samples /
    (``ranks`` · ``batch_size``) steps, rounded up: as many as online with ``batches_per_sample`` = ``epochs`` /
    ``batch_size``.
    """

    kind: Literal["offline"] = "offline"
    epochs: float = Field(default=20.0, gt=0, le=1_000_000, json_schema_extra=in_units("epochs"))
    """How often every sample is seen."""
    fitted_on: int = Field(default=4096, ge=1, le=1_000_000)
    """Training samples, at most, from which the normalisation comes."""
    memory: int = Field(default=2048, ge=0, le=10_000_000)
    """MiB that the training samples may take to be kept in memory; of more, shards are read anew in every epoch."""
    window: int = Field(default=8, ge=8, le=65536, json_schema_extra=in_units("shards"))
    """Shards that are mixed where samples are not kept in memory."""

    @property
    def least(self) -> int:
        """Training samples without which it does not begin: one."""
        return 1

    def steps(self, samples: int) -> int:
        """Return the number of steps for ``samples`` training samples, at least one."""
        return max(1, math.ceil(self.epochs * samples / (self.ranks * self.batch_size) - 1e-9))

    def repeats(self, fresh: int) -> float:
        """Return the epochs; see `Training.repeats`."""
        del fresh
        return self.epochs

    def fit(self, surrogate: Surrogate, source: Supply, around: Surroundings) -> Trained:
        """Train a surrogate on a fixed set of samples, epoch after epoch; see `Training.fit`."""
        epochs = source.epochs(Reading(self.seed, self.memory, self.window, self.validation))
        if epochs.samples == 0:
            raise ValueError("there is no training sample; at least one sample of the split 'train' must be in the set")
        with seeded(self.seed, around.device):
            return _Repeating(self, surrogate, source, epochs, around).go()


class _Repeating(Run):
    """One call of `Offline.fit`."""

    def __init__(
        self, offline: Offline, surrogate: Surrogate, source: Supply, epochs: Epochs, around: Surroundings
    ) -> None:
        super().__init__(offline, surrogate, source, epochs.samples, around)
        self.offline, self.epochs = offline, epochs

    def go(self) -> Trained:
        """Do all steps."""
        loop, epochs = self.resume(), self.epochs
        if loop is None:
            loop = self.new(Normalisation.fit(self.source.template, epochs.head(self.offline.fitted_on)))
            if self.group.rank == 0:
                loop.reception.count(epochs.samples)
                loop.validation.add(*epochs.validation(self.offline.validation))
        else:
            log.info("training goes on at step %d of %d", loop.step, loop.total)
        size = self.offline.batch_size
        following = batches(epochs, self.group.size * size, loop.step)
        part = slice(self.group.rank * size, (self.group.rank + 1) * size)
        while not self.over and self.ready(loop):
            before = time.monotonic()
            ids, fields = next(following)
            self.waited += time.monotonic() - before
            loop.learn(ids[part], {name: values[part] for name, values in fields.items()})
            self.report(loop.reception.taken)
        following.close()
        if loop.stopped:
            log.info("early stopping ended the training after step %d of %d", loop.step, loop.total)
        return self.trained(loop)
