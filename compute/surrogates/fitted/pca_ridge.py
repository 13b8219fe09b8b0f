from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import in_units
from ritz.compute.surrogates.fitted.fitted import Blocks, Fitted, joined
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.normalisation import Normalisation

if TYPE_CHECKING:
    import torch


class PCARidge(Fitted):
    """Ridge regression from principal components of the inputs to those of the outputs.

    With ``degree`` 2 the features are the components and all their products. The components keep their
    variances, so the penalty weighs most on those that vary least. Their number and the penalty are chosen by
    the leave-one-out error on the training samples. All of them are held in memory at once, in float64.
    """

    kind: Literal["pca_ridge"] = "pca_ridge"
    degree: Literal[1, 2] = Field(default=1, json_schema_extra=in_units("powers"))
    """1 for a linear, 2 for a quadratic map."""
    components: tuple[int, ...] = Field(default=(4, 16, 32, 48), min_length=1)
    """Numbers of input components to try, as far as there are samples."""

    any_grid: ClassVar[bool] = False
    least: ClassVar[int] = 3

    def learn(self, normalisation: Normalisation, blocks: Blocks) -> dict[str, np.ndarray]:
        """Return the regression; see `Fitted.learn`."""
        from sklearn.decomposition import PCA
        from sklearn.linear_model import RidgeCV
        from sklearn.preprocessing import PolynomialFeatures

        fields = joined(blocks)
        x, y = normalisation.rows("input", fields), normalisation.rows("output", fields)
        if len(x) < self.least:
            raise ValueError(f"got {len(x)} training samples, expected at least {self.least} to regress on")
        seen = PCA(min(len(x) - 1, max(self.components), x.shape[1]), svd_solver="randomized", random_state=0).fit(x)
        answer = PCA(min(len(x) - 1, 128, y.shape[1]), svd_solver="randomized", random_state=0).fit(y)
        unit = float(np.sqrt(seen.explained_variance_[0])) or 1.0
        powers = PolynomialFeatures(self.degree, include_bias=False)
        scores, targets = seen.transform(x) / unit, answer.transform(y)
        tried = []
        for count in sorted({min(count, seen.n_components_) for count in self.components}):
            regression = RidgeCV(alphas=np.logspace(-4, 4, 17))
            tried.append((count, regression.fit(powers.fit_transform(scores[:, :count]), targets)))
        count, chosen = max(tried, key=lambda found: found[1].best_score_)
        # With one component of the outputs scikit-learn drops the dimension.
        coefficients = np.reshape(chosen.coef_, (targets.shape[1], -1))
        return {
            "input_mean": seen.mean_,
            "input_components": seen.components_[:count] / unit,
            "coefficients": coefficients,
            "intercept": np.reshape(chosen.intercept_, targets.shape[1]),
            "output_components": answer.components_,
            "output_mean": answer.mean_,
        }

    def module(self, normalisation: Normalisation, buffers: dict[str, torch.Tensor]) -> torch.nn.Module:
        """Return the regression as a module; see `Fitted.module`."""
        from ritz.compute.surrogates.networks.regression import Regression

        return Regression(Grid.of(normalisation.dimensions), self.degree, buffers)
