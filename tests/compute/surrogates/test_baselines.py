from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from ritz.compute.surrogates.fitted.baselines import BASELINES
from ritz.compute.surrogates.fitted.pca_ridge import PCARidge
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Normalisation

POINTS = 10


def _samples(n: int, power: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((n, 3))
    x = (np.arange(POINTS) + 0.5) / POINTS
    z = weights @ np.cos(np.pi * np.outer([1, 2, 3], x))
    u = 1 + (z + z[:, ::-1] if power == 1 else z * z[:, ::-1])
    return {"a": np.exp(z).astype(np.float32), "u": u.astype(np.float32)}


@pytest.fixture
def normalisation() -> Normalisation:
    nothing = np.broadcast_to(np.float32(np.nan), (1, POINTS))
    template = xr.Dataset(
        {
            "a": (("sample", "x"), nothing, {"role": "input", "transform": "log"}),
            "u": (("sample", "x"), nothing, {"role": "output", "transform": "identity"}),
        }
    )
    return Normalisation.fit(template, _samples(60, 1, 0))


def _error(name: str, power: int, normalisation: Normalisation) -> float:
    test = _samples(40, power, 1)
    predicted = Model.fitted(BASELINES[name], normalisation, [_samples(60, power, 0)]).predict({"a": test["a"]})["u"]
    assert predicted.shape == test["u"].shape
    assert predicted.dtype == np.float32
    return float(np.linalg.norm(predicted - test["u"]) / np.linalg.norm(test["u"] - test["u"].mean(axis=0)))


def test_each_baseline_learns_its_own_kind_of_map(normalisation: Normalisation) -> None:
    assert _error("linear", 1, normalisation) < 1e-3
    assert _error("quadratic", 1, normalisation) < 2e-2
    assert _error("quadratic", 2, normalisation) < 1e-2
    assert _error("linear", 2, normalisation) > 0.5
    assert _error("mean", 1, normalisation) == pytest.approx(1, abs=0.05)


def test_the_mean_is_that_of_the_training_samples(normalisation: Normalisation) -> None:
    fields = _samples(7, 2, 5)
    predicted = Model.fitted(BASELINES["mean"], normalisation, [fields]).predict({"a": fields["a"][:2]})["u"]
    np.testing.assert_allclose(predicted, np.stack([fields["u"].mean(axis=0)] * 2), rtol=1e-6)


def test_too_few_samples_are_refused(normalisation: Normalisation) -> None:
    with pytest.raises(ValueError, match="got 2 training samples, expected at least 3"):
        PCARidge().fit(normalisation, [_samples(2, 1, 0)])
