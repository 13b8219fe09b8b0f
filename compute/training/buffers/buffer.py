from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from ritz.compute.kind import Fault, Kind, in_units
from ritz.compute.surrogates.normalisation import Arrays
from ritz.compute.training.buffers.slots import Slots

_NUDGE = 1e-9
"""Keeps products like 2.3 · 10 from falling under the whole number they are."""


@dataclass(frozen=True)
class Pace:
    """How many steps are to be done on how many samples; see `ritz.compute.training.online.Online`."""

    samples: int
    ratio: float
    """Steps for every sample."""
    batch_size: int
    watermark: int

    def allowed(self, taken: int) -> int:
        """Return ``ratio`` times the samples taken, rounded down."""
        return math.floor(self.ratio * taken + _NUDGE)


class Buffer(Kind, ABC):
    """What is kept of the samples that arrive, which of them make a batch, and which of them go.

    The state is a `Slots`; the random numbers are the caller's. Samples come in one by one through `put` and leave in
    batches through `draw`. A full buffer that can spare none refuses: then a step has to be done before the next sample
    is taken, and so a slow trainer makes the producers wait.
    """

    kind: str
    capacity: int = Field(default=128, ge=1, le=1_000_000, json_schema_extra=in_units("samples"))
    """Largest number of samples in memory."""

    reads_once: ClassVar[bool]
    """Whether a sample leaves when it is drawn, so that it is in one batch only."""

    @abstractmethod
    def put(self, slots: Slots, rng: np.random.Generator, sample: int, fields: Mapping[str, np.ndarray]) -> bool:
        """Take in one sample, or refuse it.

        Parameters
        ----------
        slots
            What is held; changed.
        sample, fields
            Its id, and ``dims`` for every variable; copied.

        Returns
        -------
        bool
            False if there is no room: draw first.
        """

    @abstractmethod
    def draw(
        self, slots: Slots, rng: np.random.Generator, n: int, left: int | None = None
    ) -> tuple[np.ndarray, Arrays]:
        """Draw a batch of ``n`` samples and mark them as seen.

        Parameters
        ----------
        slots
            What is held; changed.
        left
            Steps still to do, this one included, once reception is over; None before.

        Returns
        -------
        ids, fields
            ``(n,)`` int64 and ``(n, *dims)`` for every variable.

        Raises
        ------
        ValueError
            If it holds no sample, or too few for a batch that must not repeat any.
        """

    @abstractmethod
    def steps(self, pace: Pace) -> int:
        """Return the number of steps in all, at least one."""

    @abstractmethod
    def due(self, pace: Pace, taken: int) -> int:
        """Return how many steps may be done when ``taken`` samples have come and more are expected."""

    @abstractmethod
    def unmet(self, pace: Pace) -> Iterator[Fault]:
        """Yield why this buffer cannot keep a pace, with fields of the training.

        ``pace.samples`` is 0 where the number of samples is not known yet.
        """

    def check(self, pace: Pace) -> None:
        """Refuse a pace that this buffer cannot keep.

        Raises
        ------
        ValueError
            With the name of the field, its value and what was expected.
        """
        found = [fault.message for fault in self.unmet(pace)]
        if found:
            raise ValueError("; ".join(found))


class OneRead(Buffer):
    """A buffer from which every sample goes into one batch and leaves: as many batches as the samples fill.

    The last batch of a training whose samples fill no whole number of batches is filled up with some of its own.
    """

    reads_once: ClassVar[bool] = True

    def put(self, slots: Slots, rng: np.random.Generator, sample: int, fields: Mapping[str, np.ndarray]) -> bool:  # noqa: ARG002
        """Take in one sample at the end of the row; refuse it while there is no room."""
        if slots.full:
            return False
        slots.append(sample, fields)
        return True

    def draw(
        self, slots: Slots, rng: np.random.Generator, n: int, left: int | None = None
    ) -> tuple[np.ndarray, Arrays]:
        """Draw a batch and evict it; see `Buffer.draw`."""
        count = len(slots)
        if count == 0 or (count < n and left is None):
            raise ValueError(f"the buffer holds {count} samples, expected {n} for a batch; put more in before drawing")
        chosen = self._choose(count, min(n, count), rng)
        ids, fields = slots.read(fill_up(chosen, n, rng))
        slots.remove(chosen)
        return ids, fields

    @abstractmethod
    def _choose(self, count: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return ``n`` different positions below ``count``."""

    def steps(self, pace: Pace) -> int:
        """Return the batches that all samples fill."""
        return max(1, math.ceil(pace.samples / pace.batch_size))

    def due(self, pace: Pace, taken: int) -> int:
        """Return the batches that what has come fills, but for the samples that are held back."""
        return max(0, taken - self._held_back(pace)) // pace.batch_size

    def unmet(self, pace: Pace) -> Iterator[Fault]:
        """Yield another ratio than one batch a sample, and a capacity below a batch on top of what is held back."""
        if not math.isclose(pace.ratio * pace.batch_size, 1):
            yield Fault(
                ("batches_per_sample", "batch_size", "buffer"),
                f"batches_per_sample is {pace.ratio:g}, expected {1 / pace.batch_size:g} (1 / batch_size) or none "
                f"given: the buffer {self.kind!r} gives every sample to one batch",
            )
        least = max(pace.watermark, pace.batch_size + self._held_back(pace))
        if self.capacity < least:
            yield Fault(
                ("buffer.capacity", "watermark", "batch_size"),
                f"buffer.capacity is {self.capacity}, expected at least {least} for the buffer {self.kind!r} with "
                f"watermark {pace.watermark} and batch_size {pace.batch_size}",
            )

    def _held_back(self, pace: Pace) -> int:  # noqa: ARG002
        """Return how many samples stay in the buffer until reception is over."""
        return 0


def fill_up(chosen: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``n`` positions: all of the chosen ones, and some of them again where they are fewer."""
    if len(chosen) == n:
        return chosen
    return np.concatenate([chosen, rng.choice(chosen, n - len(chosen))])
