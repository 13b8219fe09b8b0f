from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.buffers.holding import Holding
from ritz.compute.training.loop import Loop
from ritz.compute.training.parts.part import Part
from ritz.compute.training.run import Run
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.supply import Supply
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.trained import Trained

if TYPE_CHECKING:
    from ritz.compute.training.online import Online

log = logging.getLogger(__name__)


class Streaming(Run["Online"]):
    """One call of `Online.fit`: blocks in, steps out, in the order the limiter allows."""

    def __init__(self, online: Online, surrogate: Surrogate, source: Supply, around: Surroundings) -> None:
        super().__init__(online, surrogate, source, source.samples, around)
        self.pending: list[tuple[Block, float]] = []
        self.holding = Holding(online.buffer, online.seed, source.refill)

    def parts(self) -> tuple[Part, ...]:
        """Return the buffer, still empty; see `Run.parts`."""
        return (self.holding,)

    def go(self) -> Trained:
        """Take in all blocks, do all steps."""
        if (loop := self.resume()) is not None:
            done = (loop.step, loop.total, len(loop.reception.received))
            log.info("training goes on at step %d of %d with %d shards", *done)
        blocks = iter(self.source.arrivals(frozenset(loop.reception.received) if loop else frozenset()))
        while True:
            # No step is between two samples of a block but for want of room, also when the block comes a second time.
            if self.loop and not self.loop.reception.partial:
                self._advance(self.training.due(self.loop.reception.taken, self.samples))
            before = time.monotonic()
            block = next(blocks, None)
            if self.loop:
                self.waited += time.monotonic() - before
            if block is None:
                break
            self._receive(block)
        loop = self.loop or self._start()
        self._advance(loop.total, over=True)
        trained = self.trained(loop)
        if loop.stopped:
            log.info("early stopping ended the training after step %d of %d", loop.step, loop.total)
        elif trained.unseen:
            log.info("%d of %d training samples are in no step", trained.unseen, loop.reception.taken)
        return trained

    def _advance(self, until: int, over: bool = False) -> None:
        """Do steps until ``until`` are done."""
        while self.loop and self.loop.step < until and not self.over:
            self._step(self.loop, over)
            self._report()

    def _step(self, loop: Loop, over: bool = False) -> None:
        if not self.ready(loop, len(self.holding) > 0):
            # Fewer samples came than were expected: failed ones are not learnt from.
            log.warning("no samples are left after step %d of %d", loop.step, loop.total)
            return
        left = loop.total - loop.step if over else None
        loop.learn(*self.holding.draw(self.training.batch_size, left))

    def _receive(self, block: Block) -> None:
        """Take in one block; hold it back while there are too few samples to begin."""
        if self.loop:
            if block.shard not in self.loop.reception.received:
                self._take(self.loop, block, time.time())
        elif block.shard not in {held.shard for held, _ in self.pending}:
            self.pending.append((block, time.time()))
            if self._waiting() >= self.training.watermark:
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
        mine = self.normalised(fields).model_dump(mode="json")
        loop = self.new(Normalisation.model_validate(self.group.collect(mine)[0]))
        for block, when in self.pending:
            self._take(loop, block, when)
        self.pending.clear()
        return loop

    def _waiting(self) -> int:
        """Return the number of training samples held back."""
        return sum(int(np.sum(held.split == "train")) for held, _ in self.pending)

    def _take(self, loop: Loop, block: Block, when: float) -> None:
        """Put the training samples into the buffer, stepping where it has no room."""
        reception = loop.reception
        if block.shard not in reception.partial:
            validation = block.split == "validate"
            loop.validation.add(block.ids[validation], {k: v[validation] for k, v in block.fields.items()})
            reception.open(block.shard)
            if loop.step:
                loop.forecasts.add(block, loop.model(), loop.step)
        for row in np.flatnonzero(block.split == "train")[reception.partial[block.shard] :]:
            sample = {name: values[row] for name, values in block.fields.items()}
            while not self.over and not self.holding.put(int(block.ids[row]), sample):
                self._step(loop)
            reception.take(block.shard)
        reception.close(block.shard, when)

    def _report(self) -> None:
        self.report(self.loop.reception.taken if self.loop else self._waiting())
