from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from ritz.compute.kind import Fault, in_units
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training import checkpoint
from ritz.compute.training.block import Block
from ritz.compute.training.buffers.buffer import Buffer, Pace
from ritz.compute.training.buffers.catalogue import BUFFERS, AnyBuffer
from ritz.compute.training.buffers.reservoir import Reservoir
from ritz.compute.training.buffers.slots import Slots
from ritz.compute.training.group import Alone, Group
from ritz.compute.training.loop import Loop
from ritz.compute.training.run import Run, Surroundings, seeded
from ritz.compute.training.training import Fit, Training

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger(__name__)

Arrivals = Callable[[frozenset[int]], Iterator[Block]]
"""Given the shards that are already learnt from, yields the blocks of the others as they come."""


class Online(Training):
    """Training on samples while they are solved: a buffer, a limiter and a schedule of known length.

    The number of steps is ``batches_per_sample`` times the number of training samples, whatever the speed of
    solvers and trainer. A step is done only while fewer than ``batches_per_sample`` times the samples received
    so far are done, and the next block is taken only when no step is due; so which samples make which step
    depends on the order of arrival and the seed alone. After the last block the remaining steps are done.
    A block that finds no room in the buffer makes the steps it needs due early.

    With several ``ranks`` each has a reservoir of its own, its own part of the blocks and a batch in every step, so
    there are ``batches_per_sample`` / ``ranks`` steps for every training sample; the normalisation comes from the first
    rank's samples, and its validation samples are the ones that are validated on. A step is done when all ranks may do
    it. When one of them runs out of samples, because of those that could not be solved or in a reservoir that is
    emptied, the training ends, and what the others still hold is told. Buffers that give every sample to one batch are
    for one rank alone: the ranks do not get the same number of samples.

    A buffer that gives every sample to one batch settles the ratio: it is 1 / ``batch_size``, which is then the
    default, and another one is refused. The last batch is filled up.

    When early stopping ends the training, further blocks are still taken, so that the solvers go on and every sample
    lands in the dataset; nothing is learnt from them, and ``batches_per_sample`` is not reached.
    """

    kind: Literal["online"] = "online"
    batches_per_sample: float = Field(default=2.5, gt=0, le=10000, json_schema_extra=in_units("batches per sample"))
    """Batches, one per step and rank, for every training sample."""
    buffer: AnyBuffer = Reservoir()
    """What is kept of the samples, and how batches are drawn."""
    watermark: int = Field(default=64, ge=1, le=1_000_000, json_schema_extra=in_units("samples"))
    """Samples in the buffer when the normalisation is fixed and the first step done."""

    @model_validator(mode="before")
    @classmethod
    def _one_batch_a_sample(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or "batches_per_sample" in given:
            return given
        buffer, batch_size = given.get("buffer"), given.get("batch_size", cls.model_fields["batch_size"].default)
        if isinstance(buffer, Mapping):
            buffer = buffer.get("kind")
        kind = type(buffer) if isinstance(buffer, Buffer) else BUFFERS.kinds().get(str(buffer))
        if kind is None or not kind.reads_once or not isinstance(batch_size, int) or batch_size < 1:  # type: ignore[attr-defined]
            return given
        return {**given, "batches_per_sample": 1 / batch_size}

    def faults(self) -> Iterator[Fault]:
        """Yield a buffer that is not for the ranks or the pace; see `Kind.faults`."""
        yield from super().faults()
        if self.ranks > 1 and self.buffer.reads_once:
            yield Fault(
                ("ranks", "buffer"),
                f"ranks is {self.ranks} with the buffer {self.buffer.kind!r}, expected 1, or the buffer 'reservoir': "
                "the ranks do not get the same number of samples, and one that has none left ends the training",
            )
        yield from self.unmet(0)

    @property
    def least(self) -> int:
        """Training samples without which it does not begin: the watermark of every rank."""
        return self.ranks * self.watermark

    def steps(self, samples: int) -> int:
        """Return the number of steps for ``samples`` training samples, at least one."""
        return self.buffer.steps(self._pace(samples))

    def due(self, taken: int, samples: int) -> int:
        """Return how many of the steps for ``samples`` samples a rank may do when ``taken`` have come to it."""
        return self.buffer.due(self._pace(samples), taken)

    def unmet(self, samples: int) -> Iterator[Fault]:
        """Yield what the buffer cannot do with so many samples, as to be emptied in the steps there are."""
        return self.buffer.unmet(self._pace(samples))

    def _pace(self, samples: int) -> Pace:
        return Pace(math.ceil(samples / self.ranks), self.batches_per_sample, self.batch_size, self.watermark)

    def fit(
        self,
        surrogate: Surrogate,
        template: xr.Dataset,
        arrivals: Arrivals,
        *,
        samples: int,
        refill: checkpoint.Refill,
        problem: Problem | None = None,
        device: str = "cpu",
        load: Callable[[], bytes | None] = lambda: None,
        save: Callable[[bytes], None] = lambda _: None,
        progress: Callable[[dict[str, Any]], None] = lambda _: None,
        save_every_s: float = 30.0,
        group: Group | None = None,
    ) -> Fit:
        """Train a surrogate on blocks as they arrive, going on from a checkpoint if there is one.

        A training that was interrupted and goes on from its checkpoint ends with the same bits as one that was
        not, if the blocks it had not yet received come in the same order and on one thread count of a CPU.

        Parameters
        ----------
        surrogate
            Builds the network.
        template
            Names and describes the variables; see `Problem.template`. Its attribute ``symmetries`` is used
            by ``augment``.
        arrivals
            Called once with the shards in the checkpoint; yields the others, with several ranks those of this one.
            Repeated shards are dropped.
            Samples of the splits train and validate are used, all others ignored.
        samples
            Training samples expected in all, by all ranks; fixes the number of steps.
        refill
            Returns the samples with the given ids again, to fill the buffer of a resumed training.
        problem, device, load, save, progress, save_every_s, group
            See `ritz.compute.training.run.Surroundings`.

        Raises
        ------
        ValueError
            If no training sample arrives, the checkpoint is of another recipe, or device, losses or optimiser are not
            to be had.
        FloatingPointError
            If the loss or the validation error is not finite.
        ritz.compute.training.group.PeerLost
            If another rank is gone.
        """
        around = Surroundings(problem, device, load, save, progress, save_every_s, group or Alone())
        with seeded(self.seed, device):
            return _Streaming(self, surrogate, template, samples, around).go(arrivals, refill)


class _Streaming(Run):
    """One call of `Online.fit`: blocks in, steps out, in the order the limiter allows."""

    def __init__(
        self, online: Online, surrogate: Surrogate, template: xr.Dataset, samples: int, around: Surroundings
    ) -> None:
        super().__init__(online, surrogate, template, samples, around)
        self.online = online
        self.pending: list[tuple[Block, float]] = []

    def go(self, arrivals: Arrivals, refill: checkpoint.Refill) -> Fit:
        """Take in all blocks, do all steps."""
        self.loop = self.resume(refill)
        if self.loop is not None:
            done = (self.loop.step, self.loop.total, len(self.loop.received))
            log.info("training goes on at step %d of %d with %d shards", *done)
        blocks = iter(arrivals(frozenset(self.loop.received) if self.loop else frozenset()))
        while True:
            # No step is between two samples of a block but for want of room, also when the block comes a second time.
            if self.loop and not self.loop.partial:
                self._advance(self.online.due(self.loop.taken, self.samples))
            before = time.monotonic()
            block = next(blocks, None)
            if self.loop:
                self.waited += time.monotonic() - before
            if block is None:
                break
            self._receive(block)
        loop = self.loop or self._start()
        self._advance(loop.total, over=True)
        fit = self.fitted(loop)
        if loop.stopped:
            log.info("early stopping ended the training after step %d of %d", loop.step, loop.total)
        elif fit.unseen:
            log.info("%d of %d training samples are in no step", fit.unseen, loop.taken)
        return fit

    def new(self, normalisation: Normalisation) -> Loop:
        """Return a loop before its first step, with an empty buffer."""
        loop = super().new(normalisation)
        loop.slots = Slots(self.online.buffer.capacity)
        return loop

    def _advance(self, until: int, over: bool = False) -> None:
        """Do steps until ``until`` are done."""
        while self.loop and self.loop.step < until and not self.loop.done:
            self._step(self.loop, over)
            self._report()

    def _step(self, loop: Loop, over: bool = False) -> None:
        if not self.ready(loop, len(loop.slots) > 0):
            # Fewer samples came than were expected: failed ones are not learnt from.
            log.warning("no samples are left after step %d of %d", loop.step, loop.total)
            return
        left = loop.total - loop.step if over else None
        loop.learn(*self.online.buffer.draw(loop.slots, loop.rng, self.online.batch_size, left))

    def _receive(self, block: Block) -> None:
        """Take in one block; hold it back while there are too few samples to begin."""
        if self.loop:
            if block.shard not in self.loop.received:
                self._take(self.loop, block, time.time())
        elif block.shard not in {held.shard for held, _ in self.pending}:
            self.pending.append((block, time.time()))
            if self._waiting() >= self.online.watermark:
                self._start()
        self._report()

    def _start(self) -> Loop:
        """Fix the normalisation and take in what was held back."""
        training = [held.take(held.split == "train") for held, _ in self.pending]
        if not any(len(block) for block in training):
            raise ValueError(
                f"no training sample arrived in {len(self.pending)} blocks; at least one sample of the split "
                "'train' must have been solved"
            )
        names = training[0].fields
        fields = {name: np.concatenate([block.fields[name] for block in training]) for name in names}
        mine = Normalisation.fit(self.template, fields).model_dump(mode="json")
        self.loop = self.new(Normalisation.model_validate(self.group.collect(mine)[0]))
        for block, when in self.pending:
            self._take(self.loop, block, when)
        self.pending.clear()
        return self.loop

    def _waiting(self) -> int:
        """Return the number of training samples held back."""
        return sum(int(np.sum(held.split == "train")) for held, _ in self.pending)

    def _take(self, loop: Loop, block: Block, when: float) -> None:
        """Put the training samples into the buffer, stepping where it has no room."""
        if block.shard not in loop.partial:
            validation = block.split == "validate"
            loop.add_validation(block.ids[validation], {k: v[validation] for k, v in block.fields.items()})
            loop.partial[block.shard] = 0
        for row in np.flatnonzero(block.split == "train")[loop.partial[block.shard] :]:
            sample = {name: values[row] for name, values in block.fields.items()}
            while not loop.done and not self.online.buffer.put(loop.slots, loop.rng, int(block.ids[row]), sample):
                self._step(loop)
            loop.taken += 1
            loop.partial[block.shard] += 1
        del loop.partial[block.shard]
        loop.received[block.shard] = when

    def _report(self) -> None:
        self.report(self.loop.taken if self.loop else self._waiting())
