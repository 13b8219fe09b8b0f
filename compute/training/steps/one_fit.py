from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from ritz.compute.fields.errors import relative_l2
from ritz.compute.surrogates.fitted.fitted import Blocks, Fitted
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Arrays, Normalisation
from ritz.compute.surrogates.weights import weights
from ritz.compute.training.parts.part import Part, State
from ritz.compute.training.samples.epochs import PART
from ritz.compute.training.steps.step import Step


class FitResult(Part):
    """The model that a fit gave, None before it."""

    name: ClassVar[str] = "network"

    def __init__(self, surrogate: Fitted, normalisation: Normalisation) -> None:
        self.surrogate, self.normalisation = surrogate, normalisation
        self.model: Model | None = None

    def fit(self, blocks: Blocks) -> Model:
        """Fit the surrogate and return the model."""
        self.model = Model.fitted(self.surrogate, self.normalisation, blocks)
        return self.model

    def state(self) -> State:
        """Return its buffers by name; see `Part.state`."""
        return {} if self.model is None else {"buffers": dict(weights(self.model.module))}

    def load(self, state: State) -> None:
        """Build the model from them; see `Part.load`."""
        if "buffers" in state:
            module = self.surrogate.restored(self.normalisation, state["buffers"]).eval()
            self.model = Model(self.surrogate, self.normalisation, module)


class OneFit(Step):
    """The only step of a surrogate that is fitted, on the CPU; its loss is the mean relative L2 error of its samples.

    Parameters
    ----------
    surrogate, normalisation
        What is fitted.
    """

    device = "cpu"

    def __init__(self, surrogate: Fitted, normalisation: Normalisation) -> None:
        self._result = FitResult(surrogate, normalisation)
        self.parts: tuple[Part, ...] = (self._result,)

    def learn(self, number: int, fields: Mapping[str, np.ndarray]) -> float:
        """Fit to samples that are at hand; see `Step.learn`."""
        del number
        return self.fit(Cut(fields))

    def fit(self, blocks: Blocks) -> float:
        """Fit to samples that come in blocks of `PART`, and return the error on them.

        Raises
        ------
        ValueError
            If there are too few.
        FloatingPointError
            If the error is not finite.
        """
        model = self._result.fit(blocks)
        total, count = 0.0, 0
        for block in blocks:
            predicted = model.predict(block)
            errors = [relative_l2(values, block[name]) for name, values in predicted.items()]
            total += float(np.mean(errors, axis=0).sum())
            count += len(errors[0])
        error = total / count
        if not math.isfinite(error):
            raise FloatingPointError(f"the error of the fit on its own samples is {error}")
        return error

    def model(self) -> Model:
        """Return the model; see `Step.model`."""
        if self._result.model is None:
            raise RuntimeError("there is no model before the fit is done")
        return self._result.model


class Cut:
    """Samples at hand, cut into blocks of `PART`: those in which a training reads them, so that the bits are the same.

    Parameters
    ----------
    fields
        ``(n, *dims)`` for every variable.
    """

    def __init__(self, fields: Mapping[str, np.ndarray]) -> None:
        self._fields = fields

    def __iter__(self) -> Iterator[Arrays]:
        """Yield the blocks."""
        count = len(next(iter(self._fields.values())))
        for start in range(0, count, PART):
            yield {name: values[start : start + PART] for name, values in self._fields.items()}
