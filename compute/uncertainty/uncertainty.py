"""What error bars are: how they are calibrated, and what is left when they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, field_validator

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind
from ritz.compute.uncertainty.shares import Interval, binomial, clustered, detectable, difference, effective

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem

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
            for what, values in (("prediction", predicted), ("truth", self.truth[name])):
                lost = int((~np.isfinite(values)).reshape(len(values), -1).any(axis=1).sum()) if values.size else 0
                if lost:
                    raise ValueError(
                        f"{what} {name!r} of {lost} of {len(values)} samples is not finite, expected finite numbers"
                    )

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(next(iter(self.prediction.values())))

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
    """

    transforms: Mapping[str, str] = field(default_factory=dict)
    dimensions: Dimensions | None = None
    problem: Problem | None = None


@dataclass(frozen=True)
class WholeFields:
    """What bands that hold whole fields were worth.

    Attributes
    ----------
    inside, of
        Samples of which every point was inside, and all samples.
    width
        Mean of upper minus lower.
    """

    inside: int
    of: int
    width: float

    def indicators(self) -> np.ndarray:
        """Return 1 for each sample inside and 0 for each other one, ``(of,)``."""
        return np.repeat([1.0, 0.0], [self.inside, self.of - self.inside])

    def document(self, level: float) -> dict[str, Any]:
        """Return the figures as run records have them."""
        low, high = binomial(self.inside, self.of)
        found = {"inside": self.inside, "of": self.of, "measured": self.inside / self.of, "low": low, "high": high}
        return found | {"width": self.width, "detects": detectable(level, self.of)}


@dataclass(frozen=True)
class Coverage:
    """What intervals of one level were worth on samples that nothing has seen.

    Attributes
    ----------
    level
        Nominal coverage.
    shares
        ``(n,)`` share of the points of each sample inside.
    width
        Mean of upper minus lower.
    expected
        Between what the coverage is expected over calibrations, None where that is not known.
    fields
        What the wider bands around whole fields were worth, None where there are none.
    more
        Figures of the method's own, by name.
    """

    level: float
    shares: np.ndarray
    width: float
    expected: Interval | None = None
    fields: WholeFields | None = None
    more: Mapping[str, float] = field(default_factory=dict)

    @property
    def measured(self) -> float:
        """Share of the points inside."""
        return float(self.shares.mean())

    def drop(self, shifted: Coverage) -> dict[str, Any]:
        """Return by how much coverage falls on samples of another law, in points and fields, with intervals of 95 %."""
        found: dict[str, Any] = {"points": list(difference(self.shares, shifted.shares))}
        if self.fields is not None and shifted.fields is not None:
            found["fields"] = list(difference(self.fields.indicators(), shifted.fields.indicators()))
        return found

    def document(self) -> dict[str, Any]:
        """Return the figures as run records have them."""
        low, high = clustered(self.shares)
        worst, tenth, median = np.quantile(self.shares, (0, 0.1, 0.5)).tolist()
        found: dict[str, Any] = {"nominal": self.level, "measured": self.measured, "width": self.width, **self.more}
        found |= {"low": low, "high": high, "effective": effective(self.shares)}
        found["by_sample"] = {"least": worst, "tenth": tenth, "median": median}
        if self.expected is not None:
            found["expected"] = list(self.expected)
        if self.fields is not None:
            found["fields"] = self.fields.document(self.level)
        return found


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

    def intervals(
        self,
        inputs: Mapping[str, np.ndarray],
        prediction: Mapping[str, np.ndarray],
        levels: tuple[float, ...],
    ) -> list[tuple[Arrays, Arrays]]:
        """Return `interval` at several levels; by default one after the other."""
        return [self.interval(inputs, prediction, level) for level in levels]

    @abstractmethod
    def measure(self, test: Predicted) -> tuple[Coverage, ...]:
        """Measure the coverage at every level on samples that nothing has seen."""

    def ranking(self, test: Predicted) -> dict[str, float]:
        """Return how well estimated errors rank the true ones; empty where nothing estimates them.

        See `ritz.compute.uncertainty.ranking.ranking`.
        """
        del test
        return {}

    def assess(self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray]) -> Assessment | None:
        """Return what is known of the errors of predictions beside their intervals; None where there is nothing."""
        del inputs, prediction
        return None

    def answer(
        self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray]
    ) -> tuple[list[tuple[Arrays, Arrays]], Assessment | None]:
        """Return `intervals` at all levels and `assess`, where both are wanted; by default one after the other."""
        return self.intervals(inputs, prediction, self.levels), self.assess(inputs, prediction)

    def made(self) -> str:
        """Return in a sentence or two how the error bars were made, beyond what the method says of all; or ``""``."""
        return ""

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

    def other_laws(self) -> Mapping[str, Mapping[str, Any]]:
        """Return on which other laws the error bars are measured too: by name, changes of the problem's fields."""
        return {}

    @abstractmethod
    def calibrate(
        self,
        validate: Predicted,
        calibrate: Predicted,
        about: About | None = None,
    ) -> Calibrated:
        """Learn on one split and calibrate on another; neither was trained on.

        Parameters
        ----------
        validate, calibrate
            Samples of the splits of these names.
        about
            What is known of their variables.

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
