from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import scipy
from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.uncertainty.propagation.traces.principal_components import PrincipalComponents
from ritz.compute.uncertainty.propagation.traces.trace_law import FittedTraceLaw, TraceLaw


@dataclass(frozen=True)
class FittedPCACopula(FittedTraceLaw):
    """A law of scores: a factor ``(k, k)`` of the correlations of their normal scores, and the sorted ``(n, k)``."""

    components: PrincipalComponents
    factor: np.ndarray
    ordered: np.ndarray

    def trace(self, numbers: np.random.Generator) -> np.ndarray:
        """Return a trace; see `FittedTraceLaw.trace`."""
        levels = scipy.special.ndtr(self.factor @ numbers.standard_normal(len(self.factor)))
        known = (np.arange(len(self.ordered)) + 0.5) / len(self.ordered)
        scores = [np.interp(level, known, values) for level, values in zip(levels, self.ordered.T, strict=True)]
        return self.components.trace(np.array(scores))


class PCACopula(TraceLaw):
    """Principal components whose scores have their empirical distributions, coupled as a Gaussian copula couples them.

    The score of each component is drawn between those of the traces, so it never leaves their range; heavy tails and
    several modes stay, up to the largest score that was there. Scores depend on each other as normal variables do that
    have the correlations of their normal scores, and in no other way: of a curve in the space of two components a
    slanted cloud is left. What the components leave of a trace is left out.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Cario and Nelson",
            "Modeling and generating random vectors with arbitrary marginal distributions and correlation matrix",
            1997,
            "technical report, Northwestern University",
        ),
        Source(
            "Boukraichi et al.",
            "Uncertainty quantification in a mechanical submodel driven by a Wasserstein-GAN",
            2021,
            "arXiv:2110.13680",
            "a Wasserstein GAN of boundary traces drives the Monte Carlo runs of a submodel; here a copula does",
            "generators.txt",
        ),
    )

    kind: Literal["pca_copula"] = "pca_copula"
    components: int = Field(default=16, ge=1, json_schema_extra=in_units("components"))
    """Leading principal components, fewer than there are traces."""

    def too_few(self, count: int, width: int) -> str:
        """Return that there are no more traces than components, or fewer points; see `TraceLaw.too_few`."""
        return PrincipalComponents.unfit(count, width, self.components)

    def fit(self, traces: np.ndarray) -> FittedPCACopula:
        """Fit the law; see `TraceLaw.fit`."""
        found = PrincipalComponents.of(traces, self.components)
        ranks = np.argsort(np.argsort(found.scores, axis=0, kind="stable"), axis=0, kind="stable")
        normal = scipy.special.ndtri((ranks + 0.5) / len(ranks))
        correlations = np.atleast_2d(np.corrcoef(normal, rowvar=False))
        eigenvalues, vectors = np.linalg.eigh(correlations)
        factor = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
        return FittedPCACopula(found, factor, np.sort(found.scores, axis=0))
