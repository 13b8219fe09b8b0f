from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from ritz.compute.training.parts.part import Part, State


@dataclass(frozen=True)
class Record:
    """A point of the curve of a training.

    Attributes
    ----------
    step
        Steps done.
    time
        Seconds since the epoch.
    loss
        Mean since the record before.
    received
        Training samples received until then, by all ranks.
    validate
        Mean relative L2 error on the first samples of the validation set; None where there was no validation.
    validation
        How many samples that error is of.
    """

    step: int
    time: float
    loss: float
    received: int
    validate: float | None
    validation: int

    def document(self) -> dict[str, int | float | None]:
        """Return it as JSON has it."""
        return asdict(self)


class Curve(Part):
    """How losses and validation errors went, the same on all ranks.

    Attributes
    ----------
    records
        In the order of the steps.
    """

    name: ClassVar[str] = "curve"

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._losses: list[float] = []

    @property
    def pending(self) -> bool:
        """Whether there are losses since the last record."""
        return bool(self._losses)

    @property
    def validate(self) -> float | None:
        """The newest validation error, None before the first."""
        return next((r.validate for r in reversed(self.records) if r.validate is not None), None)

    def add(self, loss: float) -> None:
        """Note the loss of a step."""
        self._losses.append(loss)

    def record(self, step: int, received: int, validate: float | None, validation: int) -> None:
        """Append a record with the mean of the losses since the last one."""
        loss = float(np.mean(self._losses))
        self.records.append(Record(step, time.time(), loss, received, validate, validation))
        self._losses.clear()

    def state(self) -> State:
        """Return records and losses; see `Part.state`."""
        return {"records": [record.document() for record in self.records], "losses": list(self._losses)}

    def load(self, state: State) -> None:
        """Go on from them; see `Part.load`."""
        self.records = [Record(**record) for record in state["records"]]
        self._losses = list(state["losses"])
