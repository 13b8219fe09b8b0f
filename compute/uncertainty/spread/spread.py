from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import PrivateAttr

from ritz.compute.kind import Kind
from ritz.compute.uncertainty.predicted import About, Arrays, Assessment, Predicted

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem
    from ritz.compute.surrogates.model import Model
    from ritz.compute.surrogates.surrogate import Surrogate


class Unsuitable(ValueError):
    """A spread that says nothing of the errors of a model, with the reason."""


@dataclass(frozen=True)
class Shape:
    """Bands of some samples before their factors, by output.

    Attributes
    ----------
    centre
        Around what they lie, ``(n, *dims)``: the prediction, or a corrected one.
    width
        ``(n, *dims)`` float64, positive; NaN where there is no measure.
    assessment
        What else is known of the errors.
    estimate
        Estimated absolute errors of the predictions; None where the widths are all there is.
    """

    centre: Mapping[str, np.ndarray]
    width: Arrays
    assessment: Assessment | None = None
    estimate: Arrays | None = None

    def scores(self, truth: Mapping[str, np.ndarray], name: str) -> np.ndarray:
        """Return the distance of the truth from the centre, in widths, ``(n, *dims)``; infinite without a measure."""
        off = np.abs(truth[name].astype(np.float64) - self.centre[name]) / self.width[name]
        found: np.ndarray = np.where(np.isnan(off), np.inf, off)
        return found


class FittedSpread(Kind, ABC):
    """Where the bands of a model lie and how wide they are, up to a factor; what is kept of a `Spread`."""

    kind: str

    _model: Model | None = PrivateAttr(None)

    def __getstate__(self) -> dict[Any, Any]:
        """Return what goes to another process: all but the model, which is there or is not needed."""
        return super().__getstate__() if self._model is None else self.beside(None).__getstate__()

    @abstractmethod
    def shape(self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray]) -> Shape:
        """Return the shape of the bands of some samples.

        Parameters
        ----------
        inputs, prediction
            ``(n, *dims)`` for every variable, in physical units.

        Raises
        ------
        ValueError
            If a variable is missing.
        """

    def beside(self, model: Model | None, problem: Problem | None = None) -> Self:
        """Return it with the model at hand whose bands these are.

        Parameters
        ----------
        problem
            What the truth solves, where its class is not registered.
        """
        del problem
        found = self.model_copy()
        found._model = model
        return found

    def zones(self, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return the zone of every point of an output, which have factors of their own; None for one zone.

        Parameters
        ----------
        shape
            Of one sample.

        Returns
        -------
        zones
            ``shape`` int, from 0 on.
        """
        del name, shape
        return None

    def held(self, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return which points of an output bands around whole fields hold; None for all.

        Parameters
        ----------
        shape
            Of one sample.

        Returns
        -------
        held
            ``shape`` bool.
        """
        del name, shape
        return None

    def of_times(self, *, together: bool) -> str:
        """Return in words of which times bands speak; empty where they speak of all points of a sample at once.

        Parameters
        ----------
        together
            Whether of bands around whole fields, rather than of those that hold a share of the points.
        """
        del together
        return ""

    def made(self) -> str:
        """Return in a sentence or two how the bands were made."""
        return ""


class Spread(Kind, ABC):
    """How the shape of bands is found, from samples that the model was not trained on."""

    kind: str

    def unfit(self, surrogate: Surrogate) -> str:
        """Say why it is nothing for a surrogate; empty where it is."""
        del surrogate
        return ""

    @abstractmethod
    def fit(self, validate: Predicted, about: About) -> FittedSpread:
        """Learn the shape of the bands.

        Raises
        ------
        Unsuitable
            If it says nothing of these errors.
        ValueError
            If there is no sample.
        """
