from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import in_units
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.fitted.fitted import Fitted
from ritz.compute.surrogates.normalisation import Arrays, Normalisation
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.loop import Loop
from ritz.compute.training.parts.part import Part
from ritz.compute.training.run import Run, seeded
from ritz.compute.training.samples.epochs import Epochs
from ritz.compute.training.samples.refill import Refill
from ritz.compute.training.samples.supply import Reading, Supply
from ritz.compute.training.steps.one_fit import OneFit
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.trained import Trained
from ritz.compute.training.training import Training


class Fit(Training):
    """One fit to a published version of a dataset, without gradients, on the CPU.

    It is one step that names all training samples, in the seeded random order of a first epoch.
    """

    kind: Literal["fit"] = "fit"
    fitted_on: int = Field(default=4096, ge=1, le=1_000_000)
    """Training samples, at most, from which the normalisation comes."""
    memory: int = Field(default=2048, ge=0, le=10_000_000)
    """MiB that the training samples may take to be kept in memory; of more, shards are read as often as they are
    needed."""
    window: int = Field(default=8, ge=8, le=65536, json_schema_extra=in_units("shards"))
    """Shards that are mixed where samples are not kept in memory."""

    @property
    def trainers(self) -> int:
        """One; see `Training.trainers`."""
        return 1

    @property
    def least(self) -> int:
        """Training samples without which it does not begin: one, or more where the surrogate says so."""
        return 1

    def steps(self, samples: int) -> int:
        """Return one step; see `Training.steps`."""
        del samples
        return 1

    def unfit(self, surrogate: Surrogate) -> str:
        """Refuse a network; see `Training.unfit`."""
        if isinstance(surrogate, Fitted):
            return ""
        return (
            f"training.kind is {self.kind!r} with the surrogate {surrogate.kind!r}, expected 'online' or 'offline': a "
            "network is trained by steps"
        )

    def check_learning(
        self, surrogate: Surrogate, normalisation: Normalisation, problem: Problem, samples: int
    ) -> None:
        """Refuse fewer samples than the surrogate needs; see `Training.check_learning`."""
        super().check_learning(surrogate, normalisation, problem, samples)
        if isinstance(surrogate, Fitted) and samples < surrogate.least:
            raise ValueError(
                f"kind is {self.kind!r} on {samples} training samples, expected at least {surrogate.least} for the "
                f"surrogate {surrogate.kind!r}"
            )

    def loop(
        self,
        surrogate: Surrogate,
        normalisation: Normalisation,
        symmetry: str,
        total: int,
        *,
        refill: Refill,
        around: Surroundings,
        parts: Sequence[Part] = (),
    ) -> Loop:
        """Return a loop of one step, the fit; see `Training.loop`."""
        del symmetry, total, around
        if not isinstance(surrogate, Fitted):
            raise ValueError(self.unfit(surrogate))
        return Loop(OneFit(surrogate, normalisation), 1, validation=self.validation, refill=refill, parts=parts)

    def fit(self, surrogate: Surrogate, source: Supply, around: Surroundings) -> Trained:
        """Fit a surrogate to a fixed set of samples; see `Training.fit`."""
        epochs = source.epochs(Reading(self.seed, self.memory, self.window, self.validation))
        if epochs.samples == 0:
            raise ValueError("there is no training sample; at least one sample of the split 'train' must be in the set")
        if not isinstance(surrogate, Fitted):
            raise ValueError(self.unfit(surrogate))
        with seeded(self.seed, "cpu"):
            return _Fitting(self, surrogate, source, epochs, around).go()


class _Fitting(Run):
    """One call of `Fit.fit`."""

    def __init__(self, training: Fit, surrogate: Fitted, source: Supply, epochs: Epochs, around: Surroundings) -> None:
        super().__init__(training, surrogate, source, epochs.samples, around)
        self.one, self.fitted, self.epochs = training, surrogate, epochs

    def build(self, normalisation: Normalisation) -> Loop:
        """Return the loop, and keep its step: it is given blocks, not a batch."""
        self.action = OneFit(self.fitted, normalisation)
        return Loop(self.action, self.steps, validation=self.one.validation, refill=self.source.refill)

    def go(self) -> Trained:
        """Fit, unless a checkpoint has it."""
        loop, epochs = self.resume(), self.epochs
        if loop is None:
            loop = self.new(Normalisation.fit(self.source.template, epochs.head(self.one.fitted_on)))
            loop.reception.count(epochs.samples)
            loop.validation.add(*epochs.validation(self.one.validation))
        if not loop.done:
            blocks = _Pass(epochs)
            loop.do(lambda: self._fitted(blocks))
            self.report(loop.reception.taken)
        return self.trained(loop)

    def _fitted(self, blocks: _Pass) -> tuple[np.ndarray, float]:
        loss = self.action.fit(blocks)
        return blocks.ids, loss


class _Pass:
    """The samples of one epoch, which can be gone through again and again, and their ids.

    Attributes
    ----------
    ids
        ``(n,)`` int64, of a whole pass; there are none before the first.
    """

    def __init__(self, epochs: Epochs) -> None:
        self._epochs = epochs
        self.ids = np.empty(0, np.int64)

    def __iter__(self) -> Iterator[Arrays]:
        """Yield the blocks."""
        seen = []
        for ids, fields in self._epochs.epoch(0):
            seen.append(ids)
            yield fields
        self.ids = np.concatenate(seen)
