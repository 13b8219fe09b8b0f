"""Samples with predictions, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.fields.errors import relative_l2

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem
    from ritz.compute.surrogates.fitted.fitted import Blocks
    from ritz.compute.surrogates.model import Model

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Predicted:
    """Samples with a prediction and the truth.

    Attributes
    ----------
    inputs, prediction, truth
        ``(n, *dims)`` for every variable, in physical units.
    places
        ``(n,)`` int64, where the samples stand in the order in which they came; None where that is not known.
    """

    inputs: Mapping[str, np.ndarray]
    prediction: Mapping[str, np.ndarray]
    truth: Mapping[str, np.ndarray]
    places: np.ndarray | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name, predicted in self.prediction.items():
            if name not in self.truth or self.truth[name].shape != predicted.shape:
                have = {key: values.shape for key, values in self.truth.items()}
                raise ValueError(f"prediction {name!r} has shape {predicted.shape}, the truths are {have}")
            for what, values in (("prediction", predicted), ("truth", self.truth[name])):
                lost = int((~np.isfinite(values)).reshape(len(values), -1).any(axis=1).sum()) if values.size else 0
                if lost:
                    raise ValueError(
                        f"{what} {name!r} of {lost} of {len(values)} samples is not finite, expected finite numbers"
                    )

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(next(iter(self.prediction.values())))

    def taken(self, rows: slice | np.ndarray) -> Predicted:
        """Return some of the samples, by their rows."""
        inputs, prediction, truth = (
            {name: values[rows] for name, values in part.items()} for part in (self.inputs, self.prediction, self.truth)
        )
        return Predicted(inputs, prediction, truth, places=None if self.places is None else self.places[rows])

    @classmethod
    def joined(cls, parts: Sequence[Predicted]) -> Predicted:
        """Return the samples of several, one after the other; their places are forgotten."""
        inputs, prediction, truth = (
            {name: np.concatenate([getattr(part, kind)[name] for part in parts]) for name in getattr(parts[0], kind)}
            for kind in ("inputs", "prediction", "truth")
        )
        return cls(inputs, prediction, truth)

    def relative_l2(self) -> np.ndarray:
        """Return the relative L2 error of each sample, the mean over the outputs, ``(n,)`` float64."""
        found: np.ndarray = np.mean(
            [relative_l2(self.prediction[name], self.truth[name]) for name in self.truth], axis=0
        )
        return found

    def error(self, name: str) -> np.ndarray:
        """Return the absolute error of one output, float64."""
        values: np.ndarray = np.abs(self.prediction[name].astype(np.float64) - self.truth[name])
        return values


@dataclass(frozen=True)
class About:
    """What is known of the variables of some samples beside their values.

    Attributes
    ----------
    transforms
        ``"log"`` for the inputs whose logarithm is the natural scale.
    dimensions
        Of all variables; None if they all have the axes of space and no others.
    problem
        What the truth solves; None where that is not known.
    model
        What predicts; None where it is not at hand.
    training
        The samples it was trained on, some at a time; None where they are not at hand.
    """

    transforms: Mapping[str, str] = field(default_factory=dict)
    dimensions: Dimensions | None = None
    problem: Problem | None = None
    model: Model | None = None
    training: Blocks | None = None


@dataclass(frozen=True)
class Assessment:
    """What is known of the errors of some predictions.

    Attributes
    ----------
    corrected
        Better fields, around which the intervals lie, ``(n, *dims)`` float64; None where these lie around the
        predictions.
    estimate
        ``(n,)`` estimated error of the prediction, relative to the corrected fields; NaN where there is none.
    doubtful
        ``(n,)`` bool, samples whose estimate cannot be relied on.
    """

    corrected: Arrays | None
    estimate: np.ndarray
    doubtful: np.ndarray
