from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ritz.storage import models
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.documents.card import Card, Variable
from ritz.tasks.documents.law_calibration import law_calibration
from ritz.tasks.errors import InputError
from ritz.tasks.prediction.inputs import SAMPLE
from ritz.tasks.prediction.scope import check_scope

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ritz.compute.problems.problem import Arrays
    from ritz.compute.surrogates.model import Model
    from ritz.compute.surrogates.surrogate import Surrogate
    from ritz.compute.uncertainty.predicted import Assessment
    from ritz.compute.uncertainty.uncertainty import Calibrated, Scope


@dataclass(frozen=True)
class TrainedModel:
    """A model of a store: fields in, fields out, in physical units, with error bars where it was quantified.

    Attributes
    ----------
    spec
        ``"name@v1"``.
    card
        What the store says of it: recipe, dataset, variables, training, metrics; see `ritz show`.
    model
        The network with its normalisation.
    error_bars
        None before the model was quantified, and where its recipe asks for none.
    """

    spec: str
    card: Card
    model: Model
    error_bars: Calibrated | None

    @property
    def levels(self) -> tuple[float, ...]:
        """The nominal coverages of the error bars, rising; empty where there are none."""
        return () if self.error_bars is None else self.error_bars.levels

    def predict(self, inputs: Mapping[str, ArrayLike] | xr.Dataset) -> Arrays:
        """Predict the outputs of ``n`` samples.

        Parameters
        ----------
        inputs
            ``(n, *dims)`` for every input of the model, in physical units; other entries are ignored. A dataset is such
            a mapping: its variables are known by the names of their dimensions, the samples lie along ``sample``.

        Returns
        -------
        dict
            ``(n, *dims)`` float32 for every output.

        Raises
        ------
        ritz.tasks.errors.InputError
            If an input is missing, has other dimensions or values that are not finite, or lies on a grid on which the
            surrogate does not work.
        """
        arrays = self._arrays(inputs)
        try:
            return self.model.predict(arrays)
        except ValueError as error:
            raise InputError(f"model {self.spec}: {error}") from error

    def interval(
        self,
        inputs: Mapping[str, ArrayLike] | xr.Dataset,
        prediction: Arrays,
        level: float,
        scope: Scope = "points",
    ) -> tuple[Arrays, Arrays]:
        """Return the lower and the upper ends of the error bars of predictions.

        Parameters
        ----------
        inputs, prediction
            What `predict` was given, and what it returned.
        level
            One of `levels`.
        scope
            What the level is: with ``"points"`` the expected share of the points of a sample inside, with ``"fields"``
            the probability that all points of all outputs are.

        Returns
        -------
        lower, upper
            ``(n, *dims)`` for every output.

        Raises
        ------
        ritz.tasks.errors.InputError
            If the model has no error bars, or none of this level or scope.
        """
        if self.error_bars is None:
            raise InputError(f"model {self.spec} has no error bars; `ritz quantify {self.spec}` calibrates them")
        if level not in self.levels:
            raise InputError(f"level = {level}: model {self.spec} is calibrated for {', '.join(map(str, self.levels))}")
        check_scope(scope, self.spec, self.error_bars)
        if scope == "points":
            return self.error_bars.interval(self._arrays(inputs), prediction, level)
        return self.error_bars.answer(self._arrays(inputs), prediction, scope)[0][self.levels.index(level)]

    def assess(self, inputs: Mapping[str, ArrayLike] | xr.Dataset, prediction: Arrays) -> Assessment | None:
        """Return what the equations tell of the errors of predictions; None where they tell nothing.

        Parameters
        ----------
        inputs, prediction
            What `predict` was given, and what it returned.
        """
        return None if self.error_bars is None else self.error_bars.assess(self._arrays(inputs), prediction)

    def _arrays(self, inputs: Mapping[str, ArrayLike] | xr.Dataset) -> Arrays:
        """Return the values of the model's inputs, with the samples first and the model's dimensions in its order."""
        wanted = self.card.inputs
        missing = [name for name in wanted if name not in inputs]
        if missing:
            taken = ", ".join(map(repr, wanted))
            raise InputError(f"input {missing[0]!r}: missing; model {self.spec} takes {taken}")
        return {name: self._array(name, entry, inputs[name]) for name, entry in wanted.items()}

    def _array(self, name: str, entry: Variable, given: ArrayLike | xr.DataArray) -> np.ndarray:
        dims = (SAMPLE, *entry.dims)
        expected = f"expected ({', '.join(dims)}), as model {self.spec} has them"
        if isinstance(given, xr.DataArray):
            if set(given.dims) != set(dims):
                raise InputError(f"input {name!r}: has the dimensions ({', '.join(map(str, given.dims))}); {expected}")
            given = given.transpose(*dims).values
        # In the dtype and the order of the dataset, on which the last bits of a prediction depend.
        values = np.ascontiguousarray(given, entry.dtype)
        if values.ndim != len(dims):
            raise InputError(f"input {name!r}: has the shape {values.shape}; {expected}")
        return values


def load(store: Store, spec: str, surrogate: Surrogate | None = None, bands: str | None = None) -> TrainedModel:
    """Read a model, ``"name"`` or ``"name@v1"``.

    Parameters
    ----------
    surrogate
        What learnt the model, where its class is not registered.
    bands
        Name of another law, whose bands are taken; see `ritz.tasks.measuring.law_worker.recalibrate`.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is no such model or version; the message lists those there are.
    ritz.tasks.errors.InputError
        If it has no bands of this law; the message lists those there are.
    """
    from ritz.tasks.measuring.law_worker import load_bands
    from ritz.tasks.measuring.worker import load_model

    found = models.resolve(store, spec)
    model, error_bars = load_model(store, found.spec, surrogate)
    if bands is not None:
        error_bars = load_bands(store, found.spec, law_calibration(store, found.spec, bands).law, model)
    return TrainedModel(found.spec, of_model.card(store, found.spec), model, error_bars)
