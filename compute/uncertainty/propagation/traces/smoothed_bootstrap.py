from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.uncertainty.propagation.traces.principal_components import PrincipalComponents
from ritz.compute.uncertainty.propagation.traces.trace_law import FittedTraceLaw, TraceLaw


@dataclass(frozen=True)
class FittedSmoothedBootstrap(FittedTraceLaw):
    """The traces ``(n, d)``, and the components along which noise is added."""

    traces: np.ndarray
    components: PrincipalComponents
    bandwidth: float

    def trace(self, numbers: np.random.Generator) -> np.ndarray:
        """Return a trace; see `FittedTraceLaw.trace`."""
        taken = self.traces[numbers.integers(len(self.traces))]
        deviations, mean = self.components.deviations, self.components.mean
        noise = (self.bandwidth * deviations * numbers.standard_normal(len(deviations))) @ self.components.directions
        drawn: np.ndarray = mean + (taken - mean + noise) / np.sqrt(1 + self.bandwidth**2)
        return drawn


class SmoothedBootstrap(TraceLaw):
    """One of the traces, drawn at random, with Gaussian noise along the principal components.

    Draws are shrunk towards the mean so that the covariance is that of the traces. Without noise it is the bootstrap,
    and no draw is new.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Silverman and Young",
            "The bootstrap: to smooth or not to smooth?",
            1987,
            "Biometrika 74",
            "smoothing pays for some functionals and not for others",
            "generators.txt",
        ),
    )

    kind: Literal["smoothed_bootstrap"] = "smoothed_bootstrap"
    components: int = Field(default=16, ge=1, json_schema_extra=in_units("components"))
    """Leading principal components with noise, fewer than there are traces."""
    bandwidth: float = Field(default=0.1, ge=0, le=10, json_schema_extra=in_units("standard deviations of a score"))
    """Standard deviation of the noise along a component; 0 is the bootstrap."""

    def too_few(self, count: int, width: int) -> str:
        """Return that there are no more traces than components, or fewer points; see `TraceLaw.too_few`."""
        return PrincipalComponents.unfit(count, width, self.components)

    def fit(self, traces: np.ndarray) -> FittedSmoothedBootstrap:
        """Fit the law; see `TraceLaw.fit`."""
        found = PrincipalComponents.of(traces, self.components)
        return FittedSmoothedBootstrap(np.asarray(traces, np.float64), found, self.bandwidth)
