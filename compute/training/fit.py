from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.fitted.fitted import Fitted
from ritz.compute.surrogates.normalisation import Arrays, Normalisation
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.loop import Loop
from ritz.compute.training.parts.part import Part
from ritz.compute.training.published import Published, PublishedRun
from ritz.compute.training.run import Run
from ritz.compute.training.samples.epochs import Epochs
from ritz.compute.training.samples.refill import Refill
from ritz.compute.training.samples.supply import Supply
from ritz.compute.training.steps.one_fit import OneFit
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.trained import Trained


class Fit(Published):
    """One fit to a published version of a dataset, without gradients, on the CPU.

    It is one step that names all training samples, in the seeded random order of a first epoch.
    """

    kind: Literal["fit"] = "fit"

    @property
    def trainers(self) -> int:
        """One; see `Training.trainers`."""
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

    def run(self, surrogate: Surrogate, source: Supply, around: Surroundings) -> Run[Fit]:
        """Return the one fit, or what a checkpoint has of it; see `Training.run`."""
        return _Fitting(self, surrogate, source, around)


class _Fitting(PublishedRun[Fit]):
    """One call of `Fit.fit`."""

    def go(self) -> Trained:
        """Fit, unless a checkpoint has it."""
        loop = self.resume() or self.begin()
        if not loop.done:
            step, blocks = loop.action, _Pass(self.epochs)
            assert isinstance(step, OneFit)

            def fitted() -> tuple[np.ndarray, float]:
                loss = step.fit(blocks)
                return blocks.ids, loss

            loop.do(fitted)
            self.report(loop.reception.taken)
        return self.trained(loop)


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
