"""The errors of fields that every model is measured by."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.evaluation.metric import Found, Metric
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.fields.errors import relative_h1, relative_l2, relative_max, spectral
from ritz.compute.fields.state_errors import normalised_rmse, relative_integral, variance_scaled_rmse
from ritz.compute.kind import Source


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


class NormalisedRMSE(Metric):
    """The root mean square of the error over space, relative to that of the truth: the mean over times and components.

    Of an output with one state it is the relative L2 error. Of one with several every state counts the same, however
    small it is; states that are zero everywhere in the truth are left out. As in PDEBench.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Takamoto et al.",
            "PDEBench: an extensive benchmark for scientific machine learning",
            2022,
            "NeurIPS, Datasets and Benchmarks",
        ),
    )

    kind: Literal["nrmse"] = "nrmse"
    title: ClassVar[str] = "nRMSE"

    def measure(self, prediction: np.ndarray, truth: np.ndarray, dimensions: Dimensions, name: str) -> Found:
        """Measure one output; see `Metric.measure`."""
        return {"": normalised_rmse(prediction, truth, _space(dimensions, name))}


class VarianceScaledRMSE(Metric):
    """The root mean square of the error over space, relative to the deviation of the truth from its mean over space.

    ``(mean |û − u|² / (var u + epsilon))^½``, the mean over times and components: 1 for the prediction that knows the
    mean of the truth over space and nothing else. As in The Well, which takes the sample variance and adds 1e-7.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Ohana et al.",
            "The Well: a large-scale collection of diverse physics simulations for machine learning",
            2024,
            "NeurIPS, Datasets and Benchmarks",
        ),
    )

    kind: Literal["vrmse"] = "vrmse"
    title: ClassVar[str] = "VRMSE"
    epsilon: float = Field(default=1e-7, ge=0, le=1)
    """Added to the variance, in the square of the units of the output: it counts where an output is below 1e-3."""

    def unfit(self, dimensions: Dimensions) -> str:
        """Refuse a single point, which has no variance."""
        return "it needs two points of space or more" if math.prod(dimensions.shape) < 2 else ""

    def measure(self, prediction: np.ndarray, truth: np.ndarray, dimensions: Dimensions, name: str) -> Found:
        """Measure one output; see `Metric.measure`."""
        return {"": variance_scaled_rmse(prediction, truth, _space(dimensions, name), self.epsilon)}


class IntegralError(_AlongSpace):
    """The error of the integral over space, relative to that of the magnitude of the truth.

    ``|∫û − ∫u| / ∫|u|``, over times and components ``‖∫û − ∫u‖ / ‖∫|u|‖``: mass, heat or momentum that a prediction
    makes or loses.
    """

    kind: Literal["integral"] = "integral"
    title: ClassVar[str] = "integral over space, relative"

    def measure(self, prediction: np.ndarray, truth: np.ndarray, dimensions: Dimensions, name: str) -> Found:
        """Measure one output; see `Metric.measure`."""
        return {"": relative_integral(prediction, truth, _space(dimensions, name))}


def _space(dimensions: Dimensions, name: str) -> tuple[int, ...]:
    return tuple(1 + dimensions.variables[name].index(dim) for dim in dimensions.space)
