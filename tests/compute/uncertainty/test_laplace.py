"""The last layer of a network as Bayesian linear regression, against what linear models give in closed form."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.optimize import minimize_scalar

from ritz.compute.surrogates.coordinate.deeponet import DeepONet
from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.ensemble.randomized_prior import RandomizedPrior
from ritz.compute.surrogates.families import NETWORKS
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import Network, network
from ritz.compute.surrogates.networks.last_layer import last_layer
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.spread.laplace import FittedLaplace, Laplace
from ritz.compute.uncertainty.spread.spread import Unsuitable
from tests.compute.problems.families import SMALL
from tests.compute.uncertainty.models import alone, predicted, solved, together

Fields = dict[str, np.ndarray]


class Pointwise(Network):
    """A linear map at every point: its features are its inputs and 1."""

    kind: Literal["pointwise"] = "pointwise"

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        return (torch.nn.Conv1d, torch.nn.Conv2d)[axes - 1](inputs, outputs, 1)


@pytest.fixture
def linear() -> tuple[Model, Fields]:
    """Samples of u = 2 a − b + noise, and the linear model of their least squares."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 40, 12)).astype(np.float32)
    fields = {"a": a, "b": 3 + b, "u": (2 * a - b + 0.3 * rng.standard_normal(a.shape)).astype(np.float32)}
    roles = {"a": "input", "b": "input", "u": "output"}
    template = xr.Dataset({name: (("sample", "x"), fields[name], {"role": role}) for name, role in roles.items()})
    normalisation = Normalisation.fit(template, fields)
    model = Model(Pointwise(), normalisation, network(Pointwise(), normalisation))
    x, y = normalisation.encode("input", fields), normalisation.encode("output", fields)
    features = np.concatenate([x, np.ones_like(x[:, :1])], axis=1).transpose(0, 2, 1).reshape(-1, 3)
    found = np.linalg.lstsq(features, y.reshape(-1), rcond=None)[0]
    layer = model.module
    assert isinstance(layer, torch.nn.Conv1d)
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(found[:2].copy()).reshape(1, 2, 1))
        layer.bias.copy_(torch.from_numpy(found[2:].copy()))
    return model, fields


def _fit(model: Model, fields: Fields) -> FittedLaplace:
    some = {name: values[:5] for name, values in fields.items()}
    inputs = {one.name: some[one.name] for one in model.normalisation.inputs}
    prediction = model.predict(some)
    validate = Predicted(inputs, prediction, {name: some[name] for name in prediction})
    parts = [{name: values[rows] for name, values in fields.items()} for rows in (slice(0, 15), slice(15, None))]
    return Laplace(floor=0.0).fit(validate, About(model=model, training=parts))


def test_of_a_linear_model_it_is_the_closed_form(linear: tuple[Model, Fields]) -> None:
    model, fields = linear
    fitted = _fit(model, fields)
    x, y = model.normalisation.encode("input", fields), model.normalisation.encode("output", fields)
    features = np.concatenate([x, np.ones_like(x[:, :1])], axis=1).astype(np.float64)
    gram = np.einsum("nfp,ngp->fg", features, features) / 12
    layer = model.module
    assert isinstance(layer, torch.nn.Conv1d)
    assert layer.bias is not None
    weights = torch.cat([layer.weight.flatten(), layer.bias]).detach().numpy().astype(np.float64)
    variance = np.mean((y[:, 0] - np.einsum("f,nfp->np", weights, features)) ** 2)
    np.testing.assert_allclose(np.square(fitted.deviations), [variance], rtol=1e-5)

    def evidence(log: float) -> float:
        """Return minus the logarithm of the evidence of a precision of the weights, but for constants."""
        hessian = gram / variance + np.exp(log) * np.eye(3)
        return float(np.exp(log) * weights @ weights - 3 * log + np.linalg.slogdet(hessian)[1])

    best = minimize_scalar(evidence, bounds=(-10, 10), method="bounded", options={"xatol": 1e-10})
    covariance = np.linalg.inv(gram + np.exp(best.x) * variance * np.eye(3))
    whitening = np.array(fitted.whitening)
    np.testing.assert_allclose(whitening @ whitening.T, covariance, rtol=1e-4)
    width = fitted.shape(fields, model.predict(fields)).width["u"]
    scale = model.normalisation.outputs[0].scale
    expected = scale * np.sqrt(variance * np.einsum("nfp,fg,ngp->np", features, covariance, features))
    np.testing.assert_allclose(width, expected, rtol=1e-4)


def test_it_is_what_drawn_weights_give(linear: tuple[Model, Fields]) -> None:
    model, fields = linear
    fitted = _fit(model, fields)
    layer = model.module
    assert isinstance(layer, torch.nn.Conv1d)
    assert layer.bias is not None
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    rng, drawn = np.random.default_rng(1), []
    for _ in range(2000):
        change = fitted.deviations[0] * np.array(fitted.whitening) @ rng.standard_normal(3)
        with torch.no_grad():
            layer.weight.copy_(weight + torch.from_numpy(change[:2]).reshape(1, 2, 1))
            layer.bias.copy_(bias + torch.from_numpy(change[2:]))
        drawn.append(model.predict(fields)["u"])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    np.testing.assert_allclose(np.std(drawn, axis=0), fitted.shape(fields, fields).width["u"], rtol=0.08)


def test_it_grows_away_from_the_training_samples(linear: tuple[Model, Fields]) -> None:
    model, fields = linear
    fitted = _fit(model, fields)
    far = {"a": 10 * fields["a"], "b": fields["b"] - 30}
    near, away = (fitted.shape(inputs, model.predict(inputs)).width["u"].mean() for inputs in (fields, far))
    assert away > 5 * near


def test_bands_hold_what_they_say_and_come_back_from_bytes(linear: tuple[Model, Fields]) -> None:
    model, fields = linear
    rng = np.random.default_rng(2)

    def samples(n: int) -> Predicted:
        inputs = {"a": rng.standard_normal((n, 12)), "b": 3 + rng.standard_normal((n, 12))}
        truth = 2 * inputs["a"] - (inputs["b"] - 3) + 0.3 * rng.standard_normal((n, 12))
        return Predicted(inputs, model.predict(inputs), {"u": truth})

    about = About(model=model, training=[fields])
    bands = Conformal(levels=(0.9,), spread=Laplace()).calibrate(samples(20), samples(400), about)
    test = samples(800)
    assert bands.measure(test)[0].measured == pytest.approx(0.9, abs=0.015)
    again = type(bands).from_bytes(bands.to_bytes())
    with pytest.raises(ValueError, match="read them together with their model"):
        again.measure(test)
    assert again.beside(model).measure(test)[0].measured == bands.measure(test)[0].measured
    assert again.beside(model).to_bytes() == bands.to_bytes()


ENDS = {"fno", "tfno", "local_no", "fully_connected", "unet", "neighbourhood", "mgno", "transolver", "uno"}
"""Networks whose output is that of a linear layer."""


@pytest.mark.parametrize("cls", NETWORKS, ids=lambda cls: str(cls.model_fields["kind"].default))
def test_the_last_layer_of_a_network_gives_its_output(cls: type[Network]) -> None:
    given = {"width": 6, "layers": 2, "depth": 1, "modes": 4, "basis": 5, "levels": 3, "heads": 2, "slices": 4}
    if cls.__name__ in ("FNO", "TFNO", "UNO", "LocalNO"):
        del given["levels"]
    surrogate = cls.model_validate({name: value for name, value in given.items() if name in cls.model_fields})
    torch.manual_seed(0)
    module = surrogate.build_on(2, 3, Grid((8, 8), ((True, True),) * 2)).eval()
    x = torch.randn(4, 2, 8, 8)
    if surrogate.kind not in ENDS:
        with pytest.raises(ValueError, match="is not that of a linear layer at its end"):
            last_layer(module, x)
        return
    with torch.no_grad():
        last, y = last_layer(module, x), module(x)
    assert last.shape == (3, 8, 8)
    again = torch.einsum("uf,nfp->nup", last.weights, last.features).reshape(4, *last.shape)
    torch.testing.assert_close(again, y, rtol=1e-4, atol=1e-5)


def test_widths_have_the_shape_of_the_outputs_of_all_sorts_of_networks() -> None:
    problem = SMALL["heat"]
    for surrogate in (FNO(modes=4, width=4, layers=1), FullyConnected(width=4, layers=1)):
        model = alone(problem, surrogate)
        validate = predicted(model, problem, 3, 0)
        fitted = Laplace().fit(validate, About(model=model, training=[solved(problem, 6, 50)]))
        width = fitted.shape(validate.inputs, validate.prediction).width["u"]
        assert width.shape == validate.prediction["u"].shape
        assert (width > 0).all()


def test_what_has_no_last_layer_is_refused_with_the_reason() -> None:
    problem = SMALL["darcy"]
    training = [solved(problem, 4, 50)]
    for model, said in (
        (together(problem), "the surrogate is 'ensemble', expected a network by itself"),
        (alone(problem, DeepONet(width=4, layers=1, basis=3)), "the output of .* is not that of a linear layer"),
        (alone(problem, FNO(modes=4, width=4, layers=1, levels=1)), "the output of .* is not that of a linear layer"),
        (alone(problem, RandomizedPrior(inner=FNO(modes=4, width=4, layers=1))), "is not that of a linear layer"),
    ):
        validate = predicted(model, problem, 2, 0)
        with pytest.raises(Unsuitable, match=said):
            Laplace().fit(validate, About(model=model, training=training))
    with pytest.raises(Unsuitable, match="not at hand"):
        Laplace().fit(validate, About(model=alone(problem)))
    with pytest.raises(ValueError, match="there is no training sample"):
        Laplace().fit(validate, About(model=alone(problem), training=[]))
