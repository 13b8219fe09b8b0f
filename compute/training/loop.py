from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ritz.compute.surrogates.model import Model
from ritz.compute.training.parts.curve import Curve
from ritz.compute.training.parts.part import Part, State, Validated
from ritz.compute.training.parts.randomness import Randomness
from ritz.compute.training.parts.schedule import Schedule
from ritz.compute.training.parts.trace import Trace
from ritz.compute.training.ranks.group import Alone, Group
from ritz.compute.training.samples.forecasts import Forecasts
from ritz.compute.training.samples.reception import Reception
from ritz.compute.training.samples.refill import Refill
from ritz.compute.training.samples.validation import Validation
from ritz.compute.training.steps.step import Step

_RECORDS = 200
_VALIDATIONS = 20


class Loop:
    """Steps one after the other, with all that goes along with them: a step and parts.

    Everything that changes is the state of a part, and so in a checkpoint (`ritz.compute.training.checkpoint`), but for
    the number of the step.

    Parameters
    ----------
    action
        What is done in a step.
    total
        Steps to be done.
    validation
        How many samples the validation error is taken on at most.
    refill
        Returns the samples of a checkpoint again.
    device
        Where the step computes: ``"cpu"``, ``"cuda"`` or ``"mps"``.
    group
        The ranks that train together, each with such a loop. The curve is the same in all of them; schedule, validation
        samples and what was received are each one's own.
    parts
        Further ones.

    Attributes
    ----------
    step, total
        Steps done and to be done.
    parts
        All of them, in the order in which they hear of a step.
    trace, curve, schedule, validation, reception, forecasts
        Those that every training has.
    """

    def __init__(
        self,
        action: Step,
        total: int,
        *,
        validation: int,
        refill: Refill,
        device: str = "cpu",
        group: Group | None = None,
        parts: Sequence[Part] = (),
    ) -> None:
        self.action, self.total, self.group = action, total, group or Alone()
        self.step = 0
        self.trace, self.curve, self.schedule, self.reception = Trace(action.device), Curve(), Schedule(), Reception()
        # The first rank validates for all.
        self.validation = Validation(0 if self.group.rank else validation, refill)
        self.forecasts = Forecasts()
        own = (self.trace, self.curve, self.validation, self.schedule, self.reception, self.forecasts)
        self.parts = (*action.parts, Randomness(device), *parts, *own)

    @property
    def stopped(self) -> bool:
        """Whether early stopping says that no further step is to be done."""
        return self.action.exhausted

    @property
    def done(self) -> bool:
        """Whether no step is left to be done."""
        return self.step >= self.total or self.stopped

    def learn(self, ids: np.ndarray, fields: Mapping[str, np.ndarray]) -> float:
        """Do one step with all ranks, on a batch of each, and return its loss.

        Parameters
        ----------
        ids, fields
            ``(batch,)`` sample ids and ``(batch, *dims)`` for every variable, in physical units; where this loop does
            the work of several ranks, their batches in order.

        Raises
        ------
        FloatingPointError
            If the loss or the validation error is not finite.
        PeerLost
            If another rank is gone.
        """
        return self.do(lambda: (ids, self.action.learn(self.step, fields)))

    def do(self, work: Callable[[], tuple[np.ndarray, float]]) -> float:
        """Do one step by a function that returns the ids it took and the loss; else as `learn`."""
        self.trace.before(self.step)
        began = time.perf_counter()
        for part in self.parts:
            part.before(self.step)
        ids, loss = work()
        self.schedule.add(ids)
        self.curve.add(loss)
        self.step += 1
        for part in self.parts:
            part.after(self.step)
        self._record()
        self.trace.add(loss, time.perf_counter() - began)
        return loss

    def load(self, step: int, states: Mapping[str, State]) -> None:
        """Go on after ``step`` steps, from the states of all parts by their names."""
        for part in self.parts:
            part.load(states[part.name])
        self.step = step

    def model(self) -> Model:
        """Return the model as it is now; it shares its module with the loop."""
        return self.action.model()

    def settle(self) -> None:
        """Record what was learnt since the last record, where the training ends between two."""
        if self.curve.pending:
            self._append(validates=True)

    def finish(self) -> Model:
        """Return the trained model, on the CPU."""
        return self.action.finish()

    def validate(self) -> float | None:
        """Return the mean relative L2 error on the validation samples of this rank, or None while there are none."""
        from ritz.compute.fields.errors import relative_l2

        truth = self.validation.fields
        if len(self.validation) == 0:
            return None
        predicted = self.model().predict(truth)
        return float(np.mean([relative_l2(u, truth[name]).mean() for name, u in predicted.items()]))

    def _record(self) -> None:
        """Append to the curve where a record is due."""
        last = self.step == self.total
        due = last or self.step % max(1, self.total // _VALIDATIONS) == 0
        if not due and self.step > 1 and self.step % max(1, self.total // _RECORDS):
            return
        self._append(validates=due)

    def _append(self, validates: bool) -> None:
        """Append to the curve what all ranks come to; the first of them validates for all."""
        here = self.validate() if validates and self.group.rank == 0 else None
        everyone = self.group.collect((here, len(self.validation), self.reception.taken))
        error, samples, _ = everyone[0]
        if error is not None and not math.isfinite(error):
            raise FloatingPointError(f"the validation error after step {self.step} is {error}{self.action.setting()}")
        if error is not None:
            validated = Validated(error, samples, self.step, self.model().module)
            for part in self.parts:
                part.validated(validated)
        self.curve.record(self.step, sum(taken for _, _, taken in everyone), error, samples)
