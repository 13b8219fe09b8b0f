from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from storage.errors import StorageError, Unknown
from storage.files import read_file
from storage.reading import read
from storage.store import Store
from tasks.errors import InputError
from tasks.predict import predict

TinyStore = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def inputs(tiny_store: TinyStore) -> xr.Dataset:
    """Three test samples as a user would have them: the input, its coordinates and nothing else."""
    data = read(Store(tiny_store[0]), "tiny")
    chosen = data.isel(sample=np.flatnonzero(data["split"].values == "test")[:3])
    return xr.Dataset({"a": chosen["a"].drop_vars([name for name in chosen.coords if name not in ("x", "y")]).load()})


@pytest.fixture
def ask(tiny_store: TinyStore, tmp_path: Path) -> Callable[..., xr.Dataset]:
    def work(given: xr.Dataset, model: str = "tiny", suffix: str = ".nc") -> xr.Dataset:
        source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
        if suffix == ".nc":
            given.to_netcdf(source, engine="h5netcdf")
        else:
            given.to_zarr(source, consolidated=False, zarr_format=3)
        result = predict(str(tiny_store[0]), model, source, target)
        assert result == {
            "model": "tiny@v1",
            "samples": given.sizes.get("sample", 1),
            "levels": [0.5, 0.8, 0.9, 0.95],
            "released": True,
            "output": str(target),
        }
        return read_file(target)

    return work


def test_a_prediction_has_bands_that_nest(ask: Callable[..., xr.Dataset], inputs: xr.Dataset) -> None:
    found = ask(inputs)
    assert found["u"].dims == ("sample", "y", "x")
    assert found["u_lower"].dims == ("level", "sample", "y", "x")
    assert found["level"].values.tolist() == [0.5, 0.8, 0.9, 0.95]
    half = found["u_upper"] - found["u"]
    assert (half > 0).all()
    lower = (found["u"] - found["u_lower"]).transpose(*half.dims)
    np.testing.assert_allclose(half, lower, rtol=1e-4, atol=1e-6)
    assert (half.diff("level") >= 0).all()
    assert half.mean("sample").std() > 0
    np.testing.assert_allclose(found["x"], inputs["x"])
    assert found["u"].attrs["long_name"] == "pressure"


def test_a_prediction_is_as_good_as_the_record_says(
    ask: Callable[..., xr.Dataset], inputs: xr.Dataset, tiny_store: TinyStore
) -> None:
    data = read(Store(tiny_store[0]), "tiny")
    truth = data["u"].values[np.flatnonzero(data["split"].values == "test")[:3]]
    predicted = ask(inputs)["u"].values
    error = np.linalg.norm((predicted - truth).reshape(3, -1), axis=1) / np.linalg.norm(truth.reshape(3, -1), axis=1)
    assert error.max() <= tiny_store[1]["metrics"]["relative_l2"]["max"] * 1.0001


def test_zarr_gives_what_netcdf_gives(ask: Callable[..., xr.Dataset], inputs: xr.Dataset) -> None:
    xr.testing.assert_allclose(ask(inputs, suffix=".zarr"), ask(inputs, model="tiny@v1"))


def test_one_field_needs_no_sample_dimension(ask: Callable[..., xr.Dataset], inputs: xr.Dataset) -> None:
    one = ask(inputs.isel(sample=1))
    assert one.sizes["sample"] == 1
    assert np.isfinite(one["u"]).all()


def test_the_order_of_dimensions_and_missing_coordinates_do_not_matter(
    ask: Callable[..., xr.Dataset], inputs: xr.Dataset, tmp_path: Path
) -> None:
    first = ask(inputs)["u"].values
    for file in tmp_path.iterdir():
        file.unlink()
    again = ask(inputs.transpose("x", "sample", "y").drop_vars(["x", "y"]))["u"].values
    np.testing.assert_array_equal(first, again)


def _changed(inputs: xr.Dataset, value: float) -> xr.Dataset:
    changed = inputs.copy(deep=True)
    changed["a"][1, 2, 3] = value
    return changed


BAD: list[tuple[str, Callable[[xr.Dataset], xr.Dataset], str]] = [
    ("missing", lambda given: given.rename(a="b"), "variable 'a': missing; expected .* the file has 'b'"),
    ("coarse", lambda given: given.isel(x=slice(None, None, 2)), "has 8 points along 'x'; the model is for 16"),
    ("shifted", lambda given: given.assign_coords(x=given["x"] + 0.5), "along 'x' run from .* expected 0.03125 to"),
    ("flat", lambda given: given.isel(y=0), r"has dimensions \('sample', 'x'\); expected \('sample', 'y', 'x'\)"),
    ("nan", lambda given: _changed(given, np.nan), "NaN or infinite"),
    ("infinite", lambda given: _changed(given, np.inf), "NaN or infinite"),
    ("zero", lambda given: _changed(given, 0.0), "≤ 0; expected positive"),
    ("negative", lambda given: _changed(given, -1.0), "≤ 0; expected positive"),
]


@pytest.mark.parametrize(("change", "said"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_an_input_that_does_not_fit_is_refused(
    change: Callable[[xr.Dataset], xr.Dataset], said: str, inputs: xr.Dataset, tiny_store: TinyStore, tmp_path: Path
) -> None:
    source = tmp_path / "in.nc"
    change(inputs).to_netcdf(source, engine="h5netcdf")
    with pytest.raises(InputError, match=said) as caught:
        predict(str(tiny_store[0]), "tiny", source, tmp_path / "out.nc")
    assert str(source) in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.nc"]


def test_an_input_that_is_no_file_of_fields_is_refused(tiny_store: TinyStore, tmp_path: Path) -> None:
    source = tmp_path / "in.nc"
    with pytest.raises(StorageError, match="no such file; expected a NetCDF file or a Zarr store"):
        predict(str(tiny_store[0]), "tiny", source, tmp_path / "out.nc")
    source.write_text("a,b\n1,2\n")
    with pytest.raises(StorageError, match="not readable as NetCDF"):
        predict(str(tiny_store[0]), "tiny", source, tmp_path / "out.nc")
    folder = tmp_path / "in.zarr"
    folder.mkdir()
    with pytest.raises(StorageError, match="not readable as Zarr"):
        predict(str(tiny_store[0]), "tiny", folder, tmp_path / "out.nc")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("out.txt", "ends in .nc"),
        ("nowhere/out.nc", "does not exist or cannot be written"),
        ("in.nc", "exists already"),
    ],
)
def test_a_target_that_cannot_be_written_is_refused(
    target: str, said: str, inputs: xr.Dataset, tiny_store: TinyStore, tmp_path: Path
) -> None:
    source = tmp_path / "in.nc"
    inputs.to_netcdf(source, engine="h5netcdf")
    before = source.read_bytes()
    with pytest.raises(StorageError, match=said):
        predict(str(tiny_store[0]), "tiny", source, tmp_path / target)
    assert source.read_bytes() == before


@pytest.mark.parametrize("model", ["nobody", "tiny@v9"])
def test_an_unknown_model_is_refused(model: str, tiny_store: TinyStore, tmp_path: Path) -> None:
    with pytest.raises(Unknown, match=r"there are: (tiny|v1)"):
        predict(str(tiny_store[0]), model, tmp_path / "in.nc", tmp_path / "out.nc")
