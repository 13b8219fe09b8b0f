from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import numpy as np

from ritz.compute.kind import Fault, Source
from ritz.compute.surrogates.normalisation import Arrays
from ritz.compute.training.buffers.buffer import Buffer, Pace, fill_up
from ritz.compute.training.buffers.slots import Slots


class Reservoir(Buffer):
    """A buffer from which batches are drawn with replacement, over what was seen and what was not.

    A draw is uniform over everything in the buffer. A sample that comes into a full buffer takes the place of a random
    *seen* one; while all are unseen the buffer refuses, and the producers wait. So nothing leaves unseen.

    The bias: how often a sample is drawn depends on what arrives after it. While the buffer fills a draw has fewer to
    choose from, so the first to arrive are drawn most often; the last to arrive are never evicted, but there are few
    steps left for them. With ``drain: repeat`` (the default) steps go on as before when reception is over, and there
    are hardly any: some of the last samples may never be drawn. With ``drain: evict``, as published, every draw after
    the end of reception takes its samples out until nothing is left. The number of steps is fixed, so those that empty
    the buffer are held back: while samples arrive, the pace is that of the others. Then everything is drawn, but where
    ``batches_per_sample`` · ``batch_size`` is hardly above 1: a draw that hits a seen sample again may then cost a step
    that was held back, so unseen samples are taken out first, and what is left is told.

    Source: Meyer et al., "High throughput training of deep surrogates from large ensemble runs", SC 2023.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Meyer et al.",
            "High throughput training of deep surrogates from large ensemble runs",
            2023,
            "SC",
            "online training is 16 % better for Burgers, 68 % for heat",
            "compare-burgers.txt, compare-heat.txt",
        ),
    )

    kind: Literal["reservoir"] = "reservoir"
    drain: Literal["repeat", "evict"] = "repeat"
    """Whether draws after the end of reception leave the samples in the buffer or take them out."""

    reads_once: ClassVar[bool] = False

    def put(self, slots: Slots, rng: np.random.Generator, sample: int, fields: Mapping[str, np.ndarray]) -> bool:
        """Take in one sample, in the place of a seen one if the buffer is full; refuse it if all are unseen."""
        if not slots.full:
            slots.append(sample, fields)
            return True
        seen = np.flatnonzero(slots.seen)
        if len(seen) == 0:
            return False
        slots.replace(int(rng.choice(seen)), sample, fields)
        return True

    def draw(
        self, slots: Slots, rng: np.random.Generator, n: int, left: int | None = None
    ) -> tuple[np.ndarray, Arrays]:
        """Draw a batch with replacement; without, and evict it, when it is time to drain. See `Buffer.draw`."""
        count = len(slots)
        if count == 0:
            raise ValueError("the buffer is empty; put a sample in before drawing")
        if self.drain == "repeat" or left is None or left > math.ceil(count / n):
            return slots.read(rng.integers(count, size=n))
        chosen = rng.permutation(count)
        if left * n < count:
            chosen = chosen[np.argsort(slots.seen[chosen], kind="stable")]
        chosen = chosen[: min(n, count)]
        ids, fields = slots.read(fill_up(chosen, n, rng))
        slots.remove(chosen)
        return ids, fields

    def steps(self, pace: Pace) -> int:
        """Return ``ratio`` times the samples, rounded."""
        return max(1, round(pace.ratio * pace.samples))

    def due(self, pace: Pace, taken: int) -> int:
        """Return the steps that the ratio allows, in proportion to those that are not held back for draining."""
        total = self.steps(pace)
        if self.drain == "repeat":
            return min(total, pace.allowed(taken))
        before = max(0, total - self._draining(pace))
        return min(before, math.floor(before * taken / max(1, pace.samples) + 1e-9))

    def unmet(self, pace: Pace) -> Iterator[Fault]:
        """Yield a watermark above the capacity, and too few steps to draw every sample."""
        if pace.watermark > self.capacity:
            yield Fault(
                ("watermark", "buffer.capacity"),
                f"watermark is {pace.watermark}, expected at most buffer.capacity, {self.capacity}",
            )
        if pace.ratio * pace.batch_size < 1:
            yield Fault(
                ("batches_per_sample", "batch_size"),
                f"batches_per_sample is {pace.ratio:g}, expected at least {1 / pace.batch_size:g} (1 / batch_size): "
                "with fewer, samples are solved that no step sees",
            )
        if self.drain == "evict" and pace.samples and self.steps(pace) < self._draining(pace):
            yield Fault(
                ("batches_per_sample", "batch_size", "buffer"),
                f"buffer.drain is 'evict', and the last {self._draining(pace)} steps would empty the buffer, but there "
                f"are {self.steps(pace)} in all; expected more batches_per_sample or a smaller buffer.capacity",
            )

    def _draining(self, pace: Pace) -> int:
        """Return the steps that empty a buffer as full as it can be."""
        return math.ceil(min(self.capacity, pace.samples) / pace.batch_size)
