from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import in_units
from ritz.compute.uncertainty.propagation.traces.principal_components import PrincipalComponents
from ritz.compute.uncertainty.propagation.traces.trace_law import FittedTraceLaw, TraceLaw


@dataclass(frozen=True)
class FittedPCAGaussian(FittedTraceLaw):
    """Principal components with independent normal scores."""

    components: PrincipalComponents

    def trace(self, numbers: np.random.Generator) -> np.ndarray:
        """Return a trace; see `FittedTraceLaw.trace`."""
        deviations = self.components.deviations
        return self.components.trace(deviations * numbers.standard_normal(len(deviations)))


class PCAGaussian(TraceLaw):
    """Principal components with independent normal scores: the Gaussian law with the mean and covariance of traces.

    It is exact for Gaussian traces, and far off where a few of them are much larger than the others.
    """

    kind: Literal["pca_gaussian"] = "pca_gaussian"
    components: int = Field(default=16, ge=1, json_schema_extra=in_units("components"))
    """Leading principal components, fewer than there are traces."""

    def too_few(self, count: int, width: int) -> str:
        """Return that there are no more traces than components, or fewer points; see `TraceLaw.too_few`."""
        return PrincipalComponents.unfit(count, width, self.components)

    def fit(self, traces: np.ndarray) -> FittedPCAGaussian:
        """Fit the law; see `TraceLaw.fit`."""
        return FittedPCAGaussian(PrincipalComponents.of(traces, self.components))
