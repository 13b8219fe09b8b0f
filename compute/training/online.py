from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from ritz.compute.kind import Fault, in_units
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.buffers.buffer import Buffer, Pace
from ritz.compute.training.buffers.catalogue import BUFFERS, AnyBuffer
from ritz.compute.training.buffers.reservoir import Reservoir
from ritz.compute.training.run import Run
from ritz.compute.training.samples.supply import Supply
from ritz.compute.training.stepped import Stepped
from ritz.compute.training.streaming import Streaming
from ritz.compute.training.surroundings import Surroundings


class Online(Stepped):
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

    while_solving: ClassVar[bool] = True

    @model_validator(mode="before")
    @classmethod
    def _one_batch_a_sample(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or "batches_per_sample" in given:
            return given
        buffer, batch_size = given.get("buffer"), given.get("batch_size", cls.model_fields["batch_size"].default)
        if isinstance(buffer, Mapping):
            buffer = buffer.get("kind")
        kind = type(buffer) if isinstance(buffer, Buffer) else BUFFERS.kinds().get(str(buffer))
        if kind is None or not issubclass(kind, Buffer) or not kind.reads_once:
            return given
        if not isinstance(batch_size, int) or batch_size < 1:
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

    def unshared(self, shards: int) -> Iterator[Fault]:
        """Yield more ranks than shards; see `Training.unshared`."""
        if self.ranks > max(1, shards):
            yield Fault(("ranks",), f"ranks is {self.ranks}, expected at most {shards}: one for every shard")

    @property
    def least(self) -> int:
        """Training samples without which it does not begin: the watermark of every rank."""
        return self.ranks * self.watermark

    def normalised_on(self, samples: int) -> tuple[int, str]:
        """Return the watermark, that of one rank; see `Training.normalised_on`."""
        del samples
        return self.watermark, f"watermark is {self.watermark}"

    def short(self, samples: int, dataset: str) -> str:
        """Say that the watermark is not reached; see `Training.short`."""
        if samples >= self.least:
            return ""
        ranks = f" on each of {self.ranks} ranks" if self.ranks > 1 else ""
        return f"training.watermark = {self.watermark}{ranks} is above the {samples} training samples of {dataset}"

    def held(self, samples: Mapping[str, int]) -> int:
        """Return what buffer and validation hold; see `Training.held`."""
        return min(self.buffer.capacity, samples["train"]) + min(self.validation, samples["validate"])

    def unpaired(self) -> str:
        """Refuse a buffer that settles the steps too; see `Training.unpaired`."""
        if unpaired := super().unpaired():
            return unpaired
        if not self.buffer.reads_once:
            return ""
        return (
            f"training.buffer is {self.buffer.kind!r}, expected 'reservoir': the others give every sample to one "
            "batch, so that the same simulations cannot make the same number of steps"
        )

    def repeats(self, fresh: int) -> float:
        """Return the epochs that make the same steps; see `Stepped.repeats`."""
        return self.batches_per_sample * self.batch_size * fresh

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

    def run(self, surrogate: Surrogate, source: Supply, around: Surroundings) -> Run[Online]:
        """Return the training on blocks as they arrive; see `Training.run`."""
        return Streaming(self, surrogate, source, around)
