from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem

Found = dict[str, np.ndarray]
"""Values ``(n,)`` of every sample, by the name of the part; one that has no parts is named ``""``."""


@dataclass(frozen=True)
class Subject:
    """Predictions of some samples, beside all that is known of these samples.

    Attributes
    ----------
    inputs, prediction, truth
        ``(n, *dims)`` by variable, in physical units.
    dimensions
        Of all variables.
    problem
        What the truth solves; None where it is not known.
    draws
        ``(m, n, *dims)`` by output, draws of every prediction; None of a surrogate that gives none.
    climatology
        ``(k, *dims)`` by output, some training samples; None where they are not known.
    """

    inputs: Mapping[str, np.ndarray]
    prediction: Mapping[str, np.ndarray]
    truth: Mapping[str, np.ndarray]
    dimensions: Dimensions
    problem: Problem | None = None
    draws: Mapping[str, np.ndarray] | None = None
    climatology: Mapping[str, np.ndarray] | None = None


class SubjectMetric(Kind, ABC):
    """How far predictions are from the truth, sample by sample; small is good unless `large_is_good`.

    `Metric` is the one to write for a number that follows from prediction and truth of an output alone.
    """

    kind: str

    title: ClassVar[str] = ""
    """What a report calls it; its kind where there is nothing."""

    by_sample: ClassVar[bool] = True
    """Whether the value of a sample is the same whatever the other samples are."""

    large_is_good: ClassVar[bool] = False
    """Whether predictions near the truth have large numbers: the worst sample is that of the smallest then."""

    @abstractmethod
    def unfit_for(self, subject: Subject) -> str:
        """Return why there is no such number for these samples, in a few words; ``""`` if there is."""

    @abstractmethod
    def of(self, subject: Subject) -> Found:
        """Measure some of the samples.

        Returns
        -------
        dict
            ``(n,)`` float64 by the name of the part, ``""`` for the whole; of several outputs the mean.
        """

    def joined(self, found: Found) -> Found:
        """Return the numbers of all samples, from those of some after the other, end to end; by default as they are.

        A number that depends on the other samples is made here.
        """
        return found

    @final
    def measured(self, subject: Subject) -> Found:
        """Measure samples that are all there are; see `of` and `joined`."""
        return self.joined(self.of(subject))


class Metric(SubjectMetric, ABC):
    """One that looks at prediction and truth of one output at a time, and at nothing else."""

    def unfit(self, dimensions: Dimensions) -> str:
        """Return why there is no such number for fields of these dimensions, in a few words; ``""`` if there is."""
        del dimensions
        return ""

    @abstractmethod
    def measure(self, prediction: np.ndarray, truth: np.ndarray, dimensions: Dimensions, name: str) -> Found:
        """Measure one output.

        Parameters
        ----------
        prediction, truth
            ``(n, *dims)`` in physical units.
        dimensions
            Of all variables.
        name
            Of the output.

        Returns
        -------
        dict
            ``(n,)`` float64 by the name of the part, ``""`` for the whole.
        """

    @final
    def unfit_for(self, subject: Subject) -> str:
        """Return `unfit` of the dimensions; see `SubjectMetric.unfit_for`."""
        return self.unfit(subject.dimensions)

    @final
    def of(self, subject: Subject) -> Found:
        """Return the mean of `measure` over the outputs; see `SubjectMetric.of`."""
        return averaged(
            [
                self.measure(subject.prediction[name], truth, subject.dimensions, name)
                for name, truth in subject.truth.items()
            ]
        )


def averaged(outputs: list[Found]) -> Found:
    """Return the mean of what was found for several outputs, part by part."""
    return {part: np.mean([found[part] for found in outputs], axis=0) for part in outputs[0]}
