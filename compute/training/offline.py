from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ritz.compute.kind import in_units
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training import checkpoint
from ritz.compute.training.ranks.group import Alone, Group
from ritz.compute.training.run import Run, Surroundings, seeded
from ritz.compute.training.samples.epochs import Epochs, batches
from ritz.compute.training.training import Fit, Training

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger(__name__)


class Offline(Training):
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
    window: int = Field(default=8, ge=8, le=65536, json_schema_extra=in_units("samples"))
    """Shards that are mixed where samples are not kept in memory."""

    @property
    def least(self) -> int:
        """Training samples without which it does not begin: one."""
        return 1

    def steps(self, samples: int) -> int:
        """Return the number of steps for ``samples`` training samples, at least one."""
        return max(1, math.ceil(self.epochs * samples / (self.ranks * self.batch_size) - 1e-9))

    def fit(
        self,
        surrogate: Surrogate,
        template: xr.Dataset,
        epochs: Epochs,
        *,
        refill: checkpoint.Refill,
        problem: Problem | None = None,
        device: str = "cpu",
        load: Callable[[], bytes | None] = lambda: None,
        save: Callable[[bytes], None] = lambda _: None,
        progress: Callable[[dict[str, Any]], None] = lambda _: None,
        save_every_s: float = 30.0,
        group: Group | None = None,
    ) -> Fit:
        """Train a surrogate on a fixed set of samples, going on from a checkpoint if there is one.

        A training that was interrupted and goes on from its checkpoint ends with the same bits as one that was not,
        on one thread count of a CPU.

        Parameters
        ----------
        surrogate
            Builds the network.
        template
            Names and describes the variables; see `Problem.template`.
        epochs
            The samples.
        refill
            Returns the validation samples with the given ids again.
        problem, device, load, save, progress, save_every_s, group
            See `ritz.compute.training.run.Surroundings`.

        Raises
        ------
        ValueError
            If there is no training sample, the checkpoint is of another recipe, or device, losses or optimiser are not
            to be had.
        FloatingPointError
            If the loss or the validation error is not finite.
        ritz.compute.training.ranks.group.PeerLost
            If another rank is gone.
        """
        if epochs.samples == 0:
            raise ValueError("there is no training sample; at least one sample of the split 'train' must be in the set")
        around = Surroundings(problem, device, load, save, progress, save_every_s, group or Alone())
        with seeded(self.seed, device):
            return _Repeating(self, surrogate, template, epochs.samples, around).go(epochs, refill)


class _Repeating(Run):
    """One call of `Offline.fit`."""

    def go(self, epochs: Epochs, refill: checkpoint.Refill) -> Fit:
        """Do all steps."""
        assert isinstance(self.settings, Offline)
        loop = self.loop = self.resume(refill)
        if loop is None:
            loop = self.loop = self.new(Normalisation.fit(self.template, epochs.head(self.settings.fitted_on)))
            if self.group.rank == 0:
                loop.taken = epochs.samples
                loop.add_validation(*epochs.validation(self.settings.validation))
        else:
            log.info("training goes on at step %d of %d", loop.step, loop.total)
        size = self.settings.batch_size
        following = batches(epochs, self.group.size * size, loop.step)
        part = slice(self.group.rank * size, (self.group.rank + 1) * size)
        while not loop.done and self.ready(loop):
            before = time.monotonic()
            ids, fields = next(following)
            self.waited += time.monotonic() - before
            loop.learn(ids[part], {name: values[part] for name, values in fields.items()})
            self.report(loop.taken)
        following.close()  # type: ignore[attr-defined]
        if loop.stopped:
            log.info("early stopping ended the training after step %d of %d", loop.step, loop.total)
        return self.fitted(loop)
