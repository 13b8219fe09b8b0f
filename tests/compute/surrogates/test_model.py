from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import xarray as xr
from pydantic import TypeAdapter, ValidationError

from compute.surrogates.catalogue import AnySurrogate
from compute.surrogates.fno import FNO
from compute.surrogates.model import Model, network
from compute.surrogates.normalisation import Normalisation
from compute.surrogates.surrogate import Surrogate
from compute.tensors import pack, unpack


class Scaled(Surrogate):
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
    with pytest.raises(ValueError, match="expected the same dims"):
        Normalisation.fit(template.assign(f=template["f"][:, 0]), fields)


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
    with pytest.raises(ValueError, match="expected one shape: sample and 2 axes"):
        model.predict({"a": fields["a"], "f": fields["f"][:, :4]})
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
    with pytest.raises(ValidationError, match="multiple of 2"):
        adapter.validate_python({"kind": "fno", "modes": 5})
    with pytest.raises(ValidationError, match="unet"):
        adapter.validate_python("unet")
