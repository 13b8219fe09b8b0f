from __future__ import annotations

import logging
import math
import time
from typing import Literal

from pydantic import Field

from ritz.compute.kind import in_units
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.published import Published, PublishedRun
from ritz.compute.training.run import Run
from ritz.compute.training.samples.epochs import batches
from ritz.compute.training.samples.supply import Supply
from ritz.compute.training.stepped import Stepped
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.trained import Trained

log = logging.getLogger(__name__)


class Offline(Published, Stepped):
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

    def steps(self, samples: int) -> int:
        """Return the number of steps for ``samples`` training samples, at least one."""
        return max(1, math.ceil(self.epochs * samples / (self.ranks * self.batch_size) - 1e-9))

    def repeats(self, fresh: int) -> float:
        """Return the epochs; see `Stepped.repeats`."""
        del fresh
        return self.epochs

    def run(self, surrogate: Surrogate, source: Supply, around: Surroundings) -> Run[Offline]:
        """Return the training on a fixed set of samples, epoch after epoch; see `Training.run`."""
        return _Repeating(self, surrogate, source, around)


class _Repeating(PublishedRun[Offline]):
    """One call of `Offline.fit`."""

    def go(self) -> Trained:
        """Do all steps."""
        loop = self.resume()
        if loop is None:
            loop = self.begin()
        else:
            log.info("training goes on at step %d of %d", loop.step, loop.total)
        size = self.training.batch_size
        following = batches(self.epochs, self.group.size * size, loop.step)
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
