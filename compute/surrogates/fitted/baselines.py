from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Kind
from ritz.compute.surrogates.normalisation import Arrays, Normalisation

Predict = Callable[[Mapping[str, np.ndarray]], Arrays]
"""Maps inputs ``(n, *dims)`` to outputs ``(n, *dims)``, in physical units."""


class Baseline(Kind, ABC):
    """A predictor without a network, to measure a surrogate against."""

    kind: str

    @abstractmethod
    def fit(self, normalisation: Normalisation, fields: Mapping[str, np.ndarray]) -> Predict:
        """Learn from samples and return the function that predicts.

        Parameters
        ----------
        normalisation
            Names the variables and their transforms; its means and scales weigh the variables.
        fields
            Inputs and outputs ``(n, *dims)`` in physical units.
        """


class Mean(Baseline):
    """The mean of the training outputs, whatever the input."""

    kind: Literal["mean"] = "mean"

    def fit(self, normalisation: Normalisation, fields: Mapping[str, np.ndarray]) -> Predict:
        """Return the constant predictor; see `Baseline.fit`."""
        mean = {v.name: fields[v.name].mean(axis=0, dtype=np.float64) for v in normalisation.outputs}
        first = normalisation.inputs[0].name

        def predict(inputs: Mapping[str, np.ndarray]) -> Arrays:
            n = len(inputs[first])
            return {name: np.repeat(field[None].astype(np.float32), n, axis=0) for name, field in mean.items()}

        return predict


class PCARidge(Baseline):
    """Ridge regression from principal components of the inputs to those of the outputs.

    With ``degree`` 2 the features are the components and all their products. The components keep their
    variances, so the penalty weighs most on those that vary least. Their number and the penalty are chosen by
    the leave-one-out error on the training samples.
    """

    kind: Literal["pca_ridge"] = "pca_ridge"
    degree: Literal[1, 2] = 1
    """1 for a linear, 2 for a quadratic map."""
    components: tuple[int, ...] = Field(default=(4, 16, 32, 48), min_length=1)
    """Numbers of input components to try, as far as there are samples."""

    def fit(self, normalisation: Normalisation, fields: Mapping[str, np.ndarray]) -> Predict:
        """Return the regression; see `Baseline.fit`.

        Raises
        ------
        ValueError
            If there are fewer than 3 samples.
        """
        import torch
        from sklearn.decomposition import PCA
        from sklearn.linear_model import RidgeCV
        from sklearn.preprocessing import PolynomialFeatures

        x, y = normalisation.rows("input", fields), normalisation.rows("output", fields)
        if len(x) < 3:
            raise ValueError(f"got {len(x)} training samples, expected at least 3 to regress on")
        grid = normalisation.dimensions.grid({v.name: fields[v.name] for v in normalisation.outputs})
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

        def predict(inputs: Mapping[str, np.ndarray]) -> Arrays:
            scores = seen.transform(normalisation.rows("input", inputs))[:, :count] / unit
            rows = answer.inverse_transform(chosen.predict(powers.fit_transform(scores)))
            channels = rows.astype(np.float32).reshape(len(rows), -1, *grid)
            return normalisation.unstack(normalisation.decode(torch.from_numpy(channels)).numpy())

        return predict


BASELINES: dict[str, Baseline] = {
    "mean": Mean(),
    "linear": PCARidge(degree=1),
    "quadratic": PCARidge(degree=2),
}
"""The baselines of an evaluation, by the name under which it lists them."""
