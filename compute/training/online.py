from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from compute.kind import Kind
from compute.surrogates.model import Model
from compute.surrogates.normalisation import Normalisation
from compute.surrogates.surrogate import Surrogate
from compute.training import checkpoint
from compute.training.block import Block
from compute.training.loop import Loop
from compute.training.trace import Trace

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger(__name__)

Arrivals = Callable[[frozenset[int]], Iterator[Block]]
"""Given the shards that are already learnt from, yields the blocks of the others as they come."""


@dataclass(frozen=True)
class Fit:
    """What a training gives.

    Attributes
    ----------
    model
        The trained model.
    curve
        Records ``{"step", "time", "loss", "received", "validate", "validation"}``: mean loss since the record before,
        training samples received until then, seconds since the epoch, validation error or None, samples it is of.
    schedule
        ``(steps, batch_size)`` int64, the sample ids that made each step.
    received
        Time at which each shard arrived, in seconds since the epoch, by its number.
    waited
        Seconds this process waited for blocks after the first step.
    validation
        Ids of the samples of the validation error, ``(m,)`` int64, in the order in which they came.
    total
        Steps that the schedule of the learning rate was made for.
    trace
        Loss of every step, the time they took and on what.
    """

    model: Model
    curve: list[dict[str, Any]]
    schedule: np.ndarray
    received: dict[int, float]
    waited: float
    validation: np.ndarray
    total: int
    trace: Trace


class Online(Kind):
    """Training on samples while they are solved: a reservoir, a limiter and a schedule of known length.

    The number of steps is ``batches_per_sample`` times the number of training samples, whatever the speed of
    solvers and trainer. A step is done only while fewer than ``batches_per_sample`` times the samples received
    so far are done, and the next block is taken only when no step is due; so which samples make which step
    depends on the order of arrival and the seed alone. After the last block the remaining steps are done.
    A block that finds the reservoir full of unseen samples makes the steps it needs due early.

    The loss is the relative L2 error of every output, over all its points and times, in physical units. The first
    share ``coarse`` of the steps sees means over blocks of two points along every axis of space, which costs a quarter
    in two dimensions.
    """

    kind: Literal["online"] = "online"
    batches_per_sample: float = Field(default=2.5, gt=0, le=10000)
    """Training steps for every training sample."""
    batch_size: int = Field(default=8, ge=1, le=4096)
    """Samples in a step."""
    reservoir: int = Field(default=128, ge=1, le=1_000_000)
    """Samples in the buffer."""
    watermark: int = Field(default=64, ge=1, le=1_000_000)
    """Samples in the buffer when the normalisation is fixed and the first step done."""
    learning_rate: float = Field(default=5e-3, gt=0, le=1)
    """Largest learning rate of AdamW."""
    warm_up: float = Field(default=0.15, ge=0, lt=1)
    """Share of the steps in which the learning rate rises; it then falls to zero along a cosine."""
    weight_decay: float = Field(default=1e-4, ge=0, le=1)
    """Decoupled weight decay of AdamW."""
    clip: float = Field(default=1.0, gt=0, le=1e6)
    """Largest norm of the gradient."""
    coarse: float = Field(default=0.75, ge=0, le=1)
    """Share of the steps at half the resolution, where the grid is even and the surrogate works on any; 0 for none."""
    augment: bool = True
    """Whether every drawn sample is moved by a random symmetry of the problem."""
    validation: int = Field(default=32, ge=0, le=100_000)
    """Samples of the validate split on which the curve's validation error is taken."""
    seed: int = Field(default=0, ge=0)
    """Seed of the weights, the batches and the symmetries."""

    @model_validator(mode="after")
    def _watermark_fits(self) -> Self:
        if self.watermark > self.reservoir:
            raise ValueError(f"watermark is {self.watermark}, expected at most the reservoir, {self.reservoir}")
        return self

    def steps(self, samples: int) -> int:
        """Return the number of steps for ``samples`` training samples, at least one."""
        return max(1, round(self.batches_per_sample * samples))

    def fit(
        self,
        surrogate: Surrogate,
        template: xr.Dataset,
        arrivals: Arrivals,
        *,
        samples: int,
        refill: checkpoint.Refill,
        load: Callable[[], bytes | None] = lambda: None,
        save: Callable[[bytes], None] = lambda _: None,
        progress: Callable[[dict[str, Any]], None] = lambda _: None,
        save_every_s: float = 30.0,
    ) -> Fit:
        """Train a surrogate on blocks as they arrive, going on from a checkpoint if there is one.

        A training that was interrupted and goes on from its checkpoint ends with the same bits as one that was
        not, if the blocks it had not yet received come in the same order and on one thread count.

        Parameters
        ----------
        surrogate
            Builds the network.
        template
            Names and describes the variables; see `Problem.template`. Its attribute ``symmetries`` is used
            by ``augment``.
        arrivals
            Called once with the shards in the checkpoint; yields the others. Repeated shards are dropped.
            Samples of the splits train and validate are used, all others ignored.
        samples
            Training samples expected in all; fixes the number of steps.
        refill
            Returns the samples with the given ids again, to fill the buffer of a resumed training.
        load, save
            Read and write the checkpoint; ``save`` must be atomic.
        progress
            Called after every step and block with ``{"step", "steps", "received", "samples", "loss",
            "validate"}``; the errors are None until there is one.
        save_every_s
            Seconds between checkpoints; one more is written at the end.

        Raises
        ------
        ValueError
            If no training sample arrives, or the checkpoint is of another recipe.
        FloatingPointError
            If the loss is not finite.
        """
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            run = _Run(self, surrogate, template, samples, save, progress, save_every_s)
            run.resume(load(), refill)
            return run.go(arrivals)


class _Run:
    """One call of `Online.fit`: blocks in, steps out, in the order the limiter allows."""

    def __init__(
        self,
        online: Online,
        surrogate: Surrogate,
        template: xr.Dataset,
        samples: int,
        save: Callable[[bytes], None],
        progress: Callable[[dict[str, Any]], None],
        save_every_s: float,
    ) -> None:
        self.online, self.surrogate, self.template, self.samples = online, surrogate, template, samples
        self.save, self.progress, self.save_every_s = save, progress, save_every_s
        self.recipe = {
            "online": online.model_dump(mode="json"),
            "surrogate": surrogate.model_dump(mode="json"),
            "samples": samples,
        }
        self.loop: Loop | None = None
        self.pending: list[tuple[Block, float]] = []
        self.saved = time.monotonic()
        self.waited = 0.0

    def resume(self, blob: bytes | None, refill: checkpoint.Refill) -> None:
        """Go on from a checkpoint, if there is one."""
        if blob is None:
            return
        loop = self._new(checkpoint.normalisation(blob, self.recipe))
        checkpoint.read(loop, blob, refill)
        log.info("training goes on at step %d of %d with %d shards", loop.step, loop.total, len(loop.received))
        self.loop = loop

    def go(self, arrivals: Arrivals) -> Fit:
        """Take in all blocks, do all steps."""
        blocks = iter(arrivals(frozenset(self.loop.received) if self.loop else frozenset()))
        while True:
            self._advance(self._due())
            before = time.monotonic()
            block = next(blocks, None)
            if self.loop:
                self.waited += time.monotonic() - before
            if block is None:
                break
            self._receive(block)
        loop = self.loop or self._start()
        self._advance(loop.total)
        self.save(checkpoint.write(loop, self.recipe))
        schedule = np.array(loop.schedule, np.int64).reshape(loop.step, self.online.batch_size)
        loop.module.eval()
        return Fit(
            loop.model(),
            loop.curve,
            schedule,
            loop.received,
            self.waited,
            loop.validation_ids,
            loop.total,
            loop.trace,
        )

    def _due(self) -> int:
        """Return the number of steps that the samples received so far allow."""
        if self.loop is None:
            return 0
        # The nudge keeps products like 2.3 · 10 from falling under the whole number they are.
        return min(self.loop.total, math.floor(self.online.batches_per_sample * self.loop.taken + 1e-9))

    def _advance(self, until: int) -> None:
        """Do steps until ``until`` are done, with checkpoints between them."""
        while self.loop and self.loop.step < until:
            self.loop.advance()
            self._report()
            self._maybe_save()

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
        self._maybe_save()

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
        self.loop = self._new(Normalisation.fit(self.template, fields))
        for block, when in self.pending:
            self._take(self.loop, block, when)
        self.pending.clear()
        return self.loop

    def _new(self, normalisation: Normalisation) -> Loop:
        symmetry = self.template.attrs.get("symmetries", "none")
        return Loop(self.online, self.surrogate, normalisation, symmetry, self.online.steps(self.samples))

    def _waiting(self) -> int:
        """Return the number of training samples held back."""
        return sum(int(np.sum(held.split == "train")) for held, _ in self.pending)

    def _take(self, loop: Loop, block: Block, when: float) -> None:
        """Put the training samples into the reservoir, stepping where it is full of unseen ones."""
        validation = block.split == "validate"
        loop.add_validation(block.ids[validation], {k: v[validation] for k, v in block.fields.items()})
        for row in np.flatnonzero(block.split == "train"):
            sample = {name: values[row] for name, values in block.fields.items()}
            while not loop.reservoir.put(int(block.ids[row]), sample) and loop.step < loop.total:
                loop.advance()
            loop.taken += 1
        loop.received[block.shard] = when

    def _maybe_save(self) -> None:
        """Write a checkpoint if the last one is old."""
        if self.loop and time.monotonic() - self.saved >= self.save_every_s:
            self.save(checkpoint.write(self.loop, self.recipe))
            self.saved = time.monotonic()

    def _report(self) -> None:
        """Tell how far the training is."""
        curve = self.loop.curve if self.loop else []
        self.progress(
            {
                "step": self.loop.step if self.loop else 0,
                "steps": self.online.steps(self.samples),
                "received": self.loop.taken if self.loop else self._waiting(),
                "samples": self.samples,
                "loss": curve[-1]["loss"] if curve else None,
                "validate": next((r["validate"] for r in reversed(curve) if r["validate"] is not None), None),
            }
        )
