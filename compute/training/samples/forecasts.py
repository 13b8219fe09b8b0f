from __future__ import annotations

from typing import ClassVar

import numpy as np

from ritz.compute.fields.errors import relative_l2
from ritz.compute.surrogates.predictor import Predictor
from ritz.compute.training.parts.part import Part, State
from ritz.compute.training.samples.block import Block

PER_SHARD = 4
"""Training samples of a shard that are forecast: they cost less than a step."""


class Forecasts(Part):
    """Errors of the model on samples that arrive, before it learns from them: test, then train.

    Where the law of the samples moves, by a drift or by steering, they tell it as it happens; errors on validation
    samples, which all come from one law, do not.

    Attributes
    ----------
    ids, steps, errors
        Of each forecast sample, in the order in which they came: its id, the steps done before, the relative L2 error.
    """

    name: ClassVar[str] = "forecasts"
    shared: ClassVar[bool] = False

    def __init__(self) -> None:
        self.ids = np.empty(0, np.int64)
        self.steps = np.empty(0, np.int64)
        self.errors = np.empty(0, np.float64)

    def add(self, block: Block, model: Predictor, step: int) -> None:
        """Forecast the first training samples of a block that has just come, with the model after some steps."""
        block = block.take(np.flatnonzero(block.split == "train")[:PER_SHARD])
        prediction = model.predict(block.fields)
        # A truth that is zero everywhere has no relative error, and a training that has diverged ends by itself.
        known = np.ones(len(block), dtype=bool)
        for name, values in prediction.items():
            truth, axes = block.fields[name], tuple(range(1, values.ndim))
            known &= np.any(truth != 0, axis=axes) & np.all(np.isfinite(values) & np.isfinite(truth), axis=axes)
        rows = np.flatnonzero(known)
        if not len(rows):
            return
        errors = [relative_l2(values[rows], block.fields[name][rows]) for name, values in prediction.items()]
        self.ids = np.concatenate([self.ids, block.ids[rows]])
        self.steps = np.concatenate([self.steps, np.full(len(rows), step)])
        self.errors = np.concatenate([self.errors, np.mean(errors, axis=0)])

    def state(self) -> State:
        """Return all of them; see `Part.state`."""
        return {"ids": self.ids, "steps": self.steps, "errors": self.errors}

    def load(self, state: State) -> None:
        """Go on from them; see `Part.load`."""
        self.ids, self.steps, self.errors = state["ids"], state["steps"], state["errors"]
