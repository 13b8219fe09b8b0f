from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import xarray as xr
from pydantic import TypeAdapter, ValidationError

from ritz.compute.fields.tensors import pack, unpack
from ritz.compute.surrogates.catalogue import SHIPPED, AnySurrogate
from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import Network, network
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.surrogate import Surrogate


class Scaled(Network):
    kind: str = "scaled"

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        return (torch.nn.Conv1d, torch.nn.Conv2d)[axes - 1](inputs, outputs, 1)


@pytest.fixture
def model(template: xr.Dataset, fields: dict[str, np.ndarray]) -> Model:
    torch.manual_seed(1)
    normalisation = Normalisation.fit(template, fields)
    surrogate = FNO(modes=4, width=4, layers=1)
    return Model(surrogate, normalisation, network(surrogate, normalisation))


def test_normalisation_in_closed_form(template: xr.Dataset, fields: dict[str, np.ndarray]) -> None:
    normalisation = Normalisation.fit(template, fields)
    a, f, u, k = normalisation.variables
    logs = np.log(fields["a"].astype(np.float64))
    assert a.mean == pytest.approx(logs.mean(), abs=1e-6)
    assert a.scale == pytest.approx(logs.std(), rel=1e-6)
    assert f.mean == pytest.approx(5, abs=0.02)
    assert (u.mean, k.mean) == (0, 0)
    assert u.scale == pytest.approx(np.sqrt(np.mean(fields["u"].astype(np.float64) ** 2)), rel=1e-6)
    assert a.units == "m2"
    channels = normalisation.encode("input", fields)
    assert channels.shape == (6, 2, 16, 12)
    assert channels.dtype == np.float32
    np.testing.assert_allclose(channels.mean(axis=(0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(channels.std(axis=(0, 2, 3)), 1, rtol=1e-4)


def test_decoding_undoes_encoding(template: xr.Dataset, fields: dict[str, np.ndarray]) -> None:
    normalisation = Normalisation.fit(template, fields)
    decoded = normalisation.decode(torch.from_numpy(normalisation.encode("output", fields))).numpy()
    np.testing.assert_allclose(decoded[:, 0], fields["u"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(decoded[:, 1], fields["k"], rtol=1e-4)


def test_normalisation_survives_json_and_cannot_be_changed(template: xr.Dataset, fields: dict[str, np.ndarray]) -> None:
    normalisation = Normalisation.fit(template, fields)
    assert Normalisation.model_validate_json(normalisation.model_dump_json()) == normalisation
    with pytest.raises(ValidationError, match="frozen"):
        normalisation.variables[0].mean = 1.0  # type: ignore[misc]


def test_a_constant_field_keeps_its_size(template: xr.Dataset, fields: dict[str, np.ndarray]) -> None:
    constant = fields | {"f": np.full_like(fields["f"], 3)}
    assert Normalisation.fit(template, constant).inputs[1].scale == 1


def test_normalisation_refuses_what_it_cannot_learn_from(template: xr.Dataset, fields: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="'a' has the smallest value -1, expected positive"):
        Normalisation.fit(template, fields | {"a": -np.ones_like(fields["a"])})
    with pytest.raises(ValueError, match="'u' holds values that are not finite"):
        Normalisation.fit(template, fields | {"u": np.full_like(fields["u"], np.nan)})
    with pytest.raises(ValueError, match="'k' is missing, got"):
        Normalisation.fit(template, {name: fields[name] for name in ("a", "f", "u")})
    with pytest.raises(ValueError, match="different numbers of points along 'x'"):
        Normalisation.fit(template, fields | {"f": fields["f"][:, :, 1:]})
    with pytest.raises(ValueError, match="output 'u' has the dimensions"):
        Normalisation.fit(template.assign(u=template["u"][:, 0]), fields)


@pytest.fixture
def mixed() -> tuple[xr.Dataset, dict[str, np.ndarray]]:
    """A field, values along a wall, a number and a vector a sample in; a field over time out."""
    rng = np.random.default_rng(4)
    values = {"a": (16, 12), "west": (16,), "nu": (), "p": (5,), "u": (3, 16, 12)}
    dims = {"a": ("y", "x"), "west": ("y",), "nu": (), "p": ("mode",), "u": ("time", "y", "x")}
    fields = {name: rng.standard_normal((6, *shape)).astype(np.float32) for name, shape in values.items()}
    variables = {
        name: (("sample", *dims[name]), fields[name][:1], {"role": "output" if name == "u" else "input"})
        for name in values
    }
    return xr.Dataset(variables), fields


def test_other_dimensions_are_channels_and_missing_ones_are_repeated(
    mixed: tuple[xr.Dataset, dict[str, np.ndarray]],
) -> None:
    template, fields = mixed
    normalisation = Normalisation.fit(template, fields)
    assert normalisation.axes == 2
    assert normalisation.channels("input") == (slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 8))
    channels = normalisation.encode("input", fields)
    assert channels.shape == (6, 8, 16, 12)
    assert channels.dtype == np.float32
    a, west, nu, p = normalisation.inputs
    np.testing.assert_array_equal(channels[:, 0], a.encode(fields["a"]))
    np.testing.assert_array_equal(channels[:, 1, :, 7], west.encode(fields["west"]))
    np.testing.assert_array_equal(channels[:, 2, 3, 9], nu.encode(fields["nu"]))
    np.testing.assert_array_equal(channels[:, 3:, 15, 0], p.encode(fields["p"]))
    outputs = normalisation.encode("output", fields)
    assert outputs.shape == (6, 3, 16, 12)
    back = normalisation.unstack(normalisation.decode(torch.from_numpy(outputs)).numpy())
    np.testing.assert_allclose(back["u"], fields["u"], rtol=1e-5, atol=1e-6)


def test_rows_have_the_distances_of_the_channels(mixed: tuple[xr.Dataset, dict[str, np.ndarray]]) -> None:
    template, fields = mixed
    normalisation = Normalisation.fit(template, fields)
    rows = normalisation.rows("input", fields)
    assert rows.shape == (6, 16 * 12 + 16 + 1 + 5)
    channels = normalisation.encode("input", fields).reshape(6, -1).astype(np.float64)
    np.testing.assert_allclose(rows @ rows.T, channels @ channels.T, rtol=1e-5, atol=1e-4)


def test_a_model_of_mixed_variables_works_on_another_grid(mixed: tuple[xr.Dataset, dict[str, np.ndarray]]) -> None:
    template, fields = mixed
    normalisation = Normalisation.fit(template, fields)
    surrogate = FNO(modes=4, width=4, layers=1)
    model = Model(surrogate, normalisation, network(surrogate, normalisation))
    finer = fields | {"a": np.repeat(fields["a"], 2, axis=2)}
    assert model.predict(finer)["u"].shape == (6, 3, 16, 24)
    np.testing.assert_array_equal(Model.from_bytes(model.to_bytes()).predict(finer)["u"], model.predict(finer)["u"])
    with pytest.raises(ValueError, match=r"'p' has the shape \(6, 4\), expected \(sample, mode: 5\)"):
        model.predict(fields | {"p": fields["p"][:, 1:]})


def test_prediction_does_not_depend_on_the_batch(model: Model, fields: dict[str, np.ndarray]) -> None:
    whole, parts = model.predict(fields, batch=6), model.predict(fields, batch=4)
    for name, values in whole.items():
        assert values.shape == (6, 16, 12)
        assert values.dtype == np.float32
        np.testing.assert_allclose(parts[name], values, rtol=1e-4)
    assert model.predict({name: values[:0] for name, values in fields.items()})["u"].shape == (0, 16, 12)


def test_prediction_names_what_is_wrong_with_its_input(model: Model, fields: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match=re.escape("['f'] are missing, expected ['a', 'f']")):
        model.predict({"a": fields["a"]})
    with pytest.raises(ValueError, match=r"different numbers of points along 'y': \{'a': 16, 'f': 4\}"):
        model.predict({"a": fields["a"], "f": fields["f"][:, :4]})
    with pytest.raises(ValueError, match=r"'f' has the shape \(6, 16\), expected \(sample, y, x\)"):
        model.predict({"a": fields["a"], "f": fields["f"][:, :, 0]})
    broken = fields["f"].copy()
    broken[2, 0, 0] = np.nan
    with pytest.raises(ValueError, match=re.escape("'f' holds values that are not finite, in samples [2]")):
        model.predict({"a": fields["a"], "f": broken})
    with pytest.raises(ValueError, match="'a' has the smallest value 0, expected positive"):
        model.predict({"a": 0 * fields["a"], "f": fields["f"]})


def test_a_class_of_ones_own_is_read_back_with_its_instance(
    template: xr.Dataset, fields: dict[str, np.ndarray]
) -> None:
    normalisation = Normalisation.fit(template, fields)
    own = Model(Scaled(), normalisation, network(Scaled(), normalisation))
    with pytest.raises(ValidationError, match="scaled"):
        Model.from_bytes(own.to_bytes())
    again = Model.from_bytes(own.to_bytes(), surrogate=Scaled())
    np.testing.assert_array_equal(again.predict(fields)["u"], own.predict(fields)["u"])


def test_other_bytes_are_refused(model: Model) -> None:
    with pytest.raises(ValueError, match="are not a safetensors file"):
        Model.from_bytes(b"not a model")
    with pytest.raises(ValueError, match="has the format 'other', expected 'ritz-model/1'"):
        Model.from_bytes(pack({}, {"format": "other"}))
    tensors, header = unpack(model.to_bytes())
    name = next(name for name, value in tensors.items() if value.ndim == 1)
    with pytest.raises(ValueError, match="do not fit the network"):
        Model.from_bytes(pack(tensors | {name: np.zeros(99, np.float32)}, header))


def test_catalogue_chooses_by_kind() -> None:
    adapter: TypeAdapter[Surrogate] = TypeAdapter(AnySurrogate)
    assert adapter.validate_python({"kind": "fno", "width": 8}) == FNO(width=8)
    assert adapter.validate_python("fno") == FNO()
    assert adapter.validate_python({"kind": "fully_connected", "layers": 1}) == FullyConnected(layers=1)
    for cls in SHIPPED:
        # A closure has no coarse problem of its own accord.
        needed = {name: "lorenz96" for name, field in cls.model_fields.items() if field.is_required()}
        assert set(needed) <= {"coarse"}
        assert type(adapter.validate_python({"kind": cls.model_fields["kind"].default} | needed)) is cls
    with pytest.raises(ValidationError, match="multiple of 2"):
        adapter.validate_python({"kind": "fno", "modes": 5})
    with pytest.raises(ValidationError, match="u_net"):
        adapter.validate_python("u_net")
