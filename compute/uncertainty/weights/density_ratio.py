from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.uncertainty.weights.weights import FittedWeights, Known, Weights


class FittedDensityRatio(FittedWeights):
    """Weights by the ratio of the densities of the features of inputs.

    Attributes
    ----------
    features
        ``(n, d)`` of the calibration samples.
    least
        See `DensityRatio`.
    """

    kind: Literal["density_ratio"] = "density_ratio"
    features: tuple[tuple[float, ...], ...]
    least: int

    def fixed(self) -> None:
        """Return that they depend on the new samples; see `FittedWeights.fixed`."""

    def of(self, asked: np.ndarray) -> np.ndarray:
        """Return the ratios, as a logistic regression finds them that tells the new inputs from the known ones.

        See `FittedWeights.of`.

        Raises
        ------
        ValueError
            If there are too few new samples to know their law.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        if len(asked) < self.least:
            raise ValueError(
                f"uncertainty.weights is 'density_ratio' and there are {len(asked)} inputs, expected at least "
                f"{self.least}: of fewer their law is not known"
            )
        known = np.array(self.features)
        both = StandardScaler().fit_transform(np.concatenate([known, asked]))
        new = np.repeat([0, 1], [len(known), len(asked)])
        odds = LogisticRegression().fit(both, new).decision_function(both)
        found: np.ndarray = np.exp(odds[: len(known)][None] - odds[len(known) :][:, None])
        return found

    def made(self) -> str:
        """Return what they depend on; see `FittedWeights.made`."""
        return (
            "The weight of a calibration sample is the ratio of the densities of the new inputs and the known ones "
            "there, as a logistic regression of their features finds it."
        )


class DensityRatio(Weights):
    """Weights by how much more likely an input is under the law of the new samples than under the known one.

    The law of the new samples is known by the inputs that are predicted together, without their solutions. So it is for
    use from Python, on all of them at once; no recipe takes it.

    An option that was measured and does not pay (``benchmarks/drift.txt``): under a drift it holds more than the level
    by caution, since the weight of the new sample itself counts as outside, in bands that are wider than those of age
    weights. Where the laws are told apart surely no such weights exist.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Tibshirani et al.",
            "Conformal prediction under covariate shift",
            2019,
            "NeurIPS",
            "weights by the density ratio keep the coverage on another law of the inputs",
            "drift.txt",
        ),
    )

    features: ClassVar[bool] = True

    kind: Literal["density_ratio"] = "density_ratio"
    least: int = Field(default=20, ge=2, json_schema_extra=in_units("samples"))
    """New inputs that there must be."""

    def unfit(self) -> str:
        """Refuse runs; see `Weights.unfit`."""
        return (
            "weights is 'density_ratio', which has to know all new inputs at once, and a run looks at some of them at "
            "a time: use it from Python"
        )

    def fit(self, known: Known) -> FittedDensityRatio:
        """Return the weights; see `Weights.fit`."""
        return FittedDensityRatio(features=tuple(map(tuple, known.features.tolist())), least=self.least)
