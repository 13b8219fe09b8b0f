"""The errors of fields that every model is measured by."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from ritz.compute.evaluation.metric import Found, Metric
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.fields.errors import relative_h1, relative_l2, relative_max, spectral


class RelativeL2Error(Metric):
    """The relative L2 error; all points and times count the same."""

    kind: Literal["relative_l2"] = "relative_l2"
    title: ClassVar[str] = "relative L2"

    def measure(self, prediction: np.ndarray, truth: np.ndarray, dimensions: Dimensions, name: str) -> Found:
        """Measure one output; see `Metric.measure`."""
        del dimensions, name
        return {"": relative_l2(prediction, truth)}


class _AlongSpace(Metric):
    def unfit(self, dimensions: Dimensions) -> str:
        """Refuse a mesh and an uneven grid, where there are no differences and waves to tell."""
        return "it needs a grid of even spacing" if dimensions.lengths is None else ""


class RelativeH1Error(_AlongSpace):
    """The error in the norm (‖u‖² + ‖∇u‖²)^½ along space, relative to the truth's."""

    kind: Literal["h1"] = "h1"
    title: ClassVar[str] = "relative H1"

    def measure(self, prediction: np.ndarray, truth: np.ndarray, dimensions: Dimensions, name: str) -> Found:
        """Measure one output; see `Metric.measure`."""
        return {"": relative_h1(prediction, truth, dimensions.lengths, _space(dimensions, name))}


class LargestError(Metric):
    """The largest error of a sample, relative to the largest value of the truth."""

    kind: Literal["max_error"] = "max_error"
    title: ClassVar[str] = "maximum, relative"

    def measure(self, prediction: np.ndarray, truth: np.ndarray, dimensions: Dimensions, name: str) -> Found:
        """Measure one output; see `Metric.measure`."""
        del dimensions, name
        return {"": relative_max(prediction, truth)}


class SpectralError(_AlongSpace):
    """The relative L2 error of the waves of low, middle and high wavenumbers along space."""

    kind: Literal["spectral"] = "spectral"
    title: ClassVar[str] = "relative L2, wavenumbers"

    def measure(self, prediction: np.ndarray, truth: np.ndarray, dimensions: Dimensions, name: str) -> Found:
        """Measure one output; see `Metric.measure`."""
        return spectral(prediction, truth, _space(dimensions, name))


def _space(dimensions: Dimensions, name: str) -> tuple[int, ...]:
    return tuple(1 + dimensions.variables[name].index(dim) for dim in dimensions.space)
