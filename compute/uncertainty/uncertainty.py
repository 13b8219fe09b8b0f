"""What error bars are: how they are calibrated, and what is left when they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, field_validator

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Predicted:
    """Samples with a prediction and the truth, ``(n, *dims)`` for every variable, in physical units."""

    inputs: Mapping[str, np.ndarray]
    prediction: Mapping[str, np.ndarray]
    truth: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        for name, predicted in self.prediction.items():
            if name not in self.truth or self.truth[name].shape != predicted.shape:
                have = {key: values.shape for key, values in self.truth.items()}
                raise ValueError(f"prediction {name!r} has shape {predicted.shape}, the truths are {have}")

    def error(self, name: str) -> np.ndarray:
        """Return the absolute error of one output, float64."""
        values: np.ndarray = np.abs(self.prediction[name].astype(np.float64) - self.truth[name])
        return values


@dataclass(frozen=True)
class Coverage:
    """What intervals of one level were worth on samples that nothing has seen.

    Attributes
    ----------
    level
        Nominal coverage.
    measured
        Share of what was inside.
    width
        Mean of upper minus lower.
    more
        Figures of the method's own, by name.
    """

    level: float
    measured: float
    width: float
    more: Mapping[str, float] = field(default_factory=dict)

    def document(self) -> dict[str, float]:
        """Return the figures as run records have them."""
        return {"nominal": self.level, "measured": self.measured, "width": self.width, **self.more}


class Need(NamedTuple):
    """How many samples of a split a method asks for.

    Attributes
    ----------
    least
        How many there must be.
    reason
        What for, in a few words.
    fields
        The fields that say so.
    """

    least: int
    reason: str
    fields: tuple[str, ...] = ()


class Calibrated(Kind, ABC):
    """Calibrated error bars, which are kept beside the model as JSON."""

    levels: tuple[float, ...]
    """Nominal coverages."""

    @abstractmethod
    def interval(
        self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray], level: float
    ) -> tuple[Arrays, Arrays]:
        """Return the lower and the upper ends of the intervals at one level.

        Parameters
        ----------
        inputs, prediction
            ``(n, *dims)`` for every variable, in physical units.
        level
            One of `levels`.

        Returns
        -------
        lower, upper
            ``(n, *dims)`` for every output.

        Raises
        ------
        ValueError
            If the level was not calibrated or a variable is missing.
        """

    @abstractmethod
    def measure(self, test: Predicted) -> tuple[Coverage, ...]:
        """Measure the coverage at every level on samples that nothing has seen."""

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return self.model_dump_json().encode()

    @classmethod
    def from_bytes(cls, blob: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        return cls.model_validate_json(blob)


class Uncertainty(Kind, ABC):
    """How the error bars of a model are made, from samples that it was not trained on."""

    about: ClassVar[str] = "Error bars that were set on samples of their own and measured on the test split."
    """What a report says of them, in a sentence or two."""

    kind: str
    levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...]
    """Nominal coverages, rising."""

    @field_validator("levels")
    @classmethod
    def _rising(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if any(low >= high for low, high in pairwise(levels)):
            raise ValueError(f"levels is {levels}, expected rising values without repeats")
        return levels

    @abstractmethod
    def needs(self) -> dict[str, Need]:
        """Return how many samples it asks for, by split."""

    @abstractmethod
    def calibrate(
        self,
        validate: Predicted,
        calibrate: Predicted,
        transforms: Mapping[str, str] | None = None,
        dimensions: Dimensions | None = None,
    ) -> Calibrated:
        """Learn on one split and calibrate on another; neither was trained on.

        Parameters
        ----------
        validate, calibrate
            Samples of the splits of these names.
        transforms
            ``"log"`` for the inputs whose logarithm is the natural scale.
        dimensions
            Of all variables; None if they all have the axes of space and no others.

        Raises
        ------
        ValueError
            If there are fewer samples than `needs` says.
        """

    @classmethod
    @abstractmethod
    def read(cls, blob: bytes) -> Calibrated:
        """Read what `calibrate` of this class made and `Calibrated.to_bytes` wrote.

        Raises
        ------
        ValueError
            It is nothing of the sort.
        """
