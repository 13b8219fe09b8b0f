"""What error bars are: how they are calibrated, and what is left when they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self, final

import numpy as np
from pydantic import Field, field_validator

from ritz.compute.evaluation.measured import Measured
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind
from ritz.compute.uncertainty.coverage import Coverage
from ritz.compute.uncertainty.look import at_map, covered, look
from ritz.compute.uncertainty.predicted import About, Arrays, Assessment, Predicted
from ritz.compute.uncertainty.ranking import Sizes
from ritz.compute.uncertainty.scoring import Scoring, Whole

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem
    from ritz.compute.surrogates.model import Model
    from ritz.compute.surrogates.surrogate import Surrogate


Scope = Literal["points", "fields"]
"""Whether bands hold a share of the points, or whole fields with that probability."""


_MEANINGS: Mapping[Scope, str] = {
    "points": "expected share of the points of a sample inside",
    "fields": "probability that all points of all outputs of a sample are inside",
}


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

    def intervals(
        self,
        inputs: Mapping[str, np.ndarray],
        prediction: Mapping[str, np.ndarray],
        levels: tuple[float, ...],
    ) -> list[tuple[Arrays, Arrays]]:
        """Return `interval` at several levels; by default one after the other."""
        return [self.interval(inputs, prediction, level) for level in levels]

    def look(self, test: Predicted, dimensions: Dimensions | None = None) -> Measured:
        """Look at some samples that nothing has seen, and keep little of each; see `covered`.

        Parameters
        ----------
        dimensions
            Of all variables; None if they all have the axes of space and no others.
        """
        if not self.levels:
            return Measured()
        return look(test, self.intervals(test.inputs, test.prediction, self.levels), self.levels, dimensions)

    def covered(self, measured: Measured) -> tuple[Coverage, ...]:
        """Return the coverage at every level, from what `look` kept of all samples."""
        if not self.levels:
            return ()
        outputs = [name.removesuffix("|inside") for name in measured.rows if name.endswith("|inside")]
        return covered(measured, outputs, self.levels, [None] * len(self.levels))

    @final
    def cells(self, measured: Measured) -> tuple[float, Arrays]:
        """Return at which level coverage is mapped, and the map: the share of the samples inside, by output.

        For error bars that have levels.

        Returns
        -------
        level, shares
            ``(*dims)`` float32 each.
        """
        maps = {
            name.removesuffix("|cells"): counts for name, counts in measured.sums.items() if name.endswith("|cells")
        }
        samples = len(measured.rows["sizes"])
        shares = {name: (counts / samples).astype(np.float32) for name, counts in maps.items()}
        return self.levels[at_map(self.levels)], shares

    @final
    def measure(self, test: Predicted, dimensions: Dimensions | None = None) -> tuple[Coverage, ...]:
        """Measure the coverage at every level on samples that nothing has seen, all at once; see `look`."""
        return self.covered(self.look(test, dimensions))

    @final
    def ranking(self, measured: Measured) -> dict[str, float]:
        """Return how well estimated errors, or widths, rank the true ones; see `Sizes.ranking`."""
        return Sizes.of_rows(measured).ranking() if self.levels else {}

    def assess(self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray]) -> Assessment | None:
        """Return what is known of the errors of predictions beside their intervals; None where there is nothing."""
        del inputs, prediction
        return None

    def scopes(self) -> tuple[Scope, ...]:
        """Return for what `answer` has bands."""
        return ("points",)

    def meaning(self, scope: Scope) -> str:
        """Return in words what a level of the bands of a scope is."""
        return _MEANINGS[scope]

    def answer(
        self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray], scope: Scope = "points"
    ) -> tuple[list[tuple[Arrays, Arrays]], Assessment | None]:
        """Return intervals at all levels and `assess`; by default one after the other.

        Parameters
        ----------
        inputs, prediction
            See `interval`.
        scope
            One of `scopes`. ``"points"``: the expected share of the points of a sample inside is the level;
            ``"fields"``: with this probability all points of all outputs of a sample are inside.
        """
        del scope
        return self.intervals(inputs, prediction, self.levels), self.assess(inputs, prediction)

    def beside(self, model: Model, problem: Problem | None = None) -> Self:
        """Return them with the model whose error bars they are at hand; themselves where they need none.

        Parameters
        ----------
        problem
            What the truth solves, where its class is not registered.
        """
        del model, problem
        return self

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

    promise: ClassVar[str] = "Nothing: what was measured is all that is known of them."
    """What is guaranteed of them, in a sentence or two."""

    kind: str
    levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...]
    """Nominal coverages, rising."""

    @classmethod
    def promised(cls, document: Mapping[str, Any]) -> str:
        """Return what is guaranteed of the error bars that a recipe asks for; `promise` by default."""
        del document
        return cls.promise

    @field_validator("levels")
    @classmethod
    def _rising(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if any(low >= high for low, high in pairwise(levels)):
            raise ValueError(f"levels is {levels}, expected rising values without repeats")
        return levels

    @abstractmethod
    def needs(self) -> dict[str, Need]:
        """Return how many samples it asks for, by split."""

    def unfit(self, surrogate: Surrogate) -> str:
        """Say why it is nothing for a surrogate; empty where it is."""
        del surrogate
        return ""

    def check(self, dimensions: Dimensions) -> None:
        """Refuse variables for which there are no such error bars.

        Raises
        ------
        ValueError
            With what was expected of them.
        """
        del dimensions

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

    def scoring(self, validate: Predicted, about: About) -> Scoring:
        """Learn on the validation samples, and return what looks at the others some at a time.

        By default it keeps them all, for `calibrate`.
        """
        return Whole(self, validate, about)

    @classmethod
    @abstractmethod
    def read(cls, blob: bytes) -> Calibrated:
        """Read what `calibrate` of this class made and `Calibrated.to_bytes` wrote.

        Raises
        ------
        ValueError
            It is nothing of the sort.
        """
