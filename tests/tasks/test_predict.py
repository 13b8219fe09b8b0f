from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import xarray as xr

from ritz.compute.uncertainty.uncertainty import Scope
from ritz.storage.errors import StorageError, Unknown
from ritz.storage.files import read_file
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.errors import InputError
from ritz.tasks.prediction.inputs import Interface, read_inputs
from ritz.tasks.prediction.predict import predict
from ritz.tasks.prediction.trained_model import load
from tests.command import inside

TinyStore = tuple[Path, dict[str, Any]]


@pytest.fixture
def ask(tiny_store: TinyStore, tmp_path: Path) -> Callable[..., xr.Dataset]:
    def work(given: xr.Dataset, model: str = "tiny", suffix: str = ".nc", scope: Scope = "points") -> xr.Dataset:
        source, target = tmp_path / f"in{suffix}", tmp_path / f"{scope}{suffix}"
        if suffix == ".nc":
            given.to_netcdf(source, engine="h5netcdf")
        else:
            given.to_zarr(source, consolidated=False, zarr_format=3)
        result = predict(str(tiny_store[0]), model, source, target, scope=scope)
        assert result.estimate is not None
        assert 0 < result.estimate[0] <= result.estimate[1]
        assert result.without("estimate").document() == {
            "model": "tiny@v1",
            "samples": given.sizes.get("sample", 1),
            "levels": [0.5, 0.8, 0.9, 0.95],
            "released": True,
            "output": str(target),
            "calibrated": "calibrated on tiny@v1's law",
            "scope": scope,
            "outside": [],
            "doubtful": [],
            "far": [],
            "verified": None,
            "rollout": None,
            "certified": None,
            "remarks": [],
        }
        return read_file(target)

    return work


def test_a_prediction_has_bands_that_nest(ask: Callable[..., xr.Dataset], inputs: xr.Dataset) -> None:
    found = ask(inputs)
    assert found["u"].dims == ("sample", "y", "x")
    assert found["u_lower"].dims == ("level", "sample", "y", "x")
    assert found["level"].values.tolist() == [0.5, 0.8, 0.9, 0.95]
    half = found["u_upper"] - found["u_corrected"]
    assert (half > 0).all()
    lower = (found["u_corrected"] - found["u_lower"]).transpose(*half.dims)
    np.testing.assert_allclose(half, lower, rtol=1e-4, atol=1e-6)
    assert (half.diff("level") >= 0).all()
    assert half.mean("sample").std() > 0
    np.testing.assert_allclose(found["x"], inputs["x"])
    assert found["u"].attrs["long_name"] == "pressure"


def test_bands_around_whole_fields_are_wider_and_say_what_they_promise(
    ask: Callable[..., xr.Dataset], inputs: xr.Dataset, tiny_store: TinyStore
) -> None:
    points, fields = ask(inputs), ask(inputs, scope="fields")
    widths = [(one["u_upper"] - one["u_lower"]).sel(level=0.9) for one in (points, fields)]
    assert (widths[1] > widths[0]).all()
    assert "share of the points" in points["u_lower"].attrs["comment"]
    assert "probability that all points of all outputs" in fields["u_lower"].attrs["comment"]
    trained = load(Store(str(tiny_store[0])), "tiny")
    lower, upper = trained.interval(inputs, {"u": points["u"].values}, 0.9, "fields")
    np.testing.assert_allclose(upper["u"] - lower["u"], widths[1], rtol=1e-3, atol=1e-9)


def test_bands_of_another_scope_are_refused(inputs: xr.Dataset, tiny_store: TinyStore) -> None:
    trained = load(Store(str(tiny_store[0])), "tiny")
    prediction = trained.predict(inputs)
    with pytest.raises(InputError, match=r"scope is 'all', expected 'points' or 'fields'"):
        trained.interval(inputs, prediction, 0.9, cast("Any", "all"))
    assert trained.error_bars is not None
    of_points = replace(trained, error_bars=trained.error_bars.model_copy(update={"fields": None}))
    with pytest.raises(InputError, match=r"model tiny@v1 has no bands around whole fields; `ritz quantify tiny@v1`"):
        of_points.interval(inputs, prediction, 0.9, "fields")


def test_a_prediction_is_as_good_as_the_record_says(
    ask: Callable[..., xr.Dataset], inputs: xr.Dataset, tiny_store: TinyStore
) -> None:
    data = read(Store(tiny_store[0]), "tiny")
    truth = data["u"].values[np.flatnonzero(data["split"].values == "test")[:3]]
    predicted = ask(inputs)["u"].values
    error = np.linalg.norm((predicted - truth).reshape(3, -1), axis=1) / np.linalg.norm(truth.reshape(3, -1), axis=1)
    assert error.max() <= tiny_store[1]["metrics"]["relative_l2"]["max"] * 1.0001


def test_the_equations_tell_the_error_of_a_prediction_and_correct_it(
    ask: Callable[..., xr.Dataset], inputs: xr.Dataset, tiny_store: TinyStore
) -> None:
    data, found = read(Store(tiny_store[0]), "tiny"), ask(inputs)
    truth = data["u"].values[np.flatnonzero(data["split"].values == "test")[:3]]

    def error(name: str) -> np.ndarray:
        rows = (found[name].values - truth).reshape(3, -1)
        return np.asarray(np.linalg.norm(rows, axis=1) / np.linalg.norm(truth.reshape(3, -1), axis=1))

    np.testing.assert_allclose(found["estimated_error"], error("u"), rtol=0.02)
    assert error("u_corrected").max() < 0.02 * error("u").max()
    assert found["estimate_doubtful"].values.tolist() == [0, 0, 0]
    assert "around the corrected prediction" in found["u_lower"].attrs["long_name"]


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


def _filled(inputs: xr.Dataset) -> xr.Dataset:
    """Return inputs in whole numbers, of which one stands for a missing value."""
    whole = (100 * inputs).round().astype(np.int32) + 1
    whole["a"][1, 2, 3] = -9
    whole["a"].attrs["_FillValue"] = np.int32(-9)
    return whole


def _box(inputs: xr.Dataset, points: int, places: Callable[[int], np.ndarray]) -> xr.Dataset:
    """Return inputs on another grid in both directions."""
    return inputs.interp(x=places(points), y=places(points), kwargs={"fill_value": "extrapolate"}).assign(
        a=lambda new: np.maximum(new["a"], 0.01)
    )


BAD: list[tuple[str, Callable[[xr.Dataset], xr.Dataset], str]] = [
    ("missing", lambda given: given.rename(a="b"), "variable 'a': missing; expected .* the file has 'b'"),
    (
        "coarse",
        lambda given: given.isel(x=slice(None, None, 2)),
        "its 8 points along 'x' run .* an even grid of the box",
    ),
    ("shifted", lambda given: given.assign_coords(x=given["x"] + 0.5), "along 'x' run from .* expected 0.03125 to"),
    ("flat", lambda given: given.isel(y=0), r"has dimensions \('sample', 'x'\); expected \('sample', 'y', 'x'\)"),
    ("deep", lambda given: given.expand_dims(z=2), r"has dimensions .*'z'.*; expected \('sample', 'y', 'x'\)$"),
    ("unnamed", lambda given: given.rename(sample="n"), "expected .*; if 'n' counts the samples, say --sample-dim n"),
    ("empty", lambda given: given.isel(sample=slice(0, 0)), "has no samples, its dimension 'sample' has the length 0"),
    ("tiny", lambda given: given.astype(float) * 1e-50, "positive but below the smallest float32 .*; rescale"),
    ("huge", lambda given: given.astype(float) * 1e50, "beyond the largest float32 .*; rescale it"),
    ("minus", lambda given: given.astype(float) * -1e50, "beyond the largest float32 .*; rescale it"),
    ("text", lambda given: given.astype(str), "has dtype .*; expected real numbers"),
    ("yes", lambda given: given > 0, "has dtype bool; expected real numbers"),
    ("middle", lambda given: _box(given, 24, lambda n: np.linspace(0.2, 0.8, n)), "an even grid of the box in which"),
    (
        "ends",
        lambda given: _box(given, 24, lambda n: np.linspace(0, 1, n)),
        "expected an even grid of the box in which",
    ),
    ("uneven", lambda given: _box(given, 24, lambda n: (np.arange(n) / n) ** 2), "expected an even grid of the box"),
    ("mixed", lambda given: given.isel(x=np.roll(np.arange(16), 3)), "along 'x' run from .*; expected .*, as in"),
    ("names", lambda given: given.assign_coords(x=[f"x{i}" for i in range(16)]), "along 'x' are .*; expected 0.03125"),
    ("nan", lambda given: _changed(given, np.nan), r"NaN or infinite values or fill values \(1 of 768, in samples 1\)"),
    ("filled", lambda given: _filled(given), "NaN or infinite values or fill values"),
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
    with pytest.raises(StorageError, match="no such file; expected a NetCDF file, or a Zarr group"):
        predict(str(tiny_store[0]), "tiny", source, tmp_path / "out.nc")
    source.write_text("a,b\n1,2\n")
    with pytest.raises(StorageError, match="not readable as NetCDF"):
        predict(str(tiny_store[0]), "tiny", source, tmp_path / "out.nc")
    folder = tmp_path / "in.zarr"
    folder.mkdir()
    with pytest.raises(StorageError, match="not readable as Zarr: a folder that holds nothing"):
        predict(str(tiny_store[0]), "tiny", folder, tmp_path / "out.nc")


def _centres(points: int) -> np.ndarray:
    return (np.arange(points) + 0.5) / points


def test_samples_keep_their_labels_and_the_name_of_their_dimension(
    inputs: xr.Dataset, tiny_store: TinyStore, tmp_path: Path
) -> None:
    days = ("run", [3.0, 1.0, 2.0], {"units": "days since 2000-01-01", "calendar": "noleap"})
    given = inputs.rename(sample="run").assign_coords(run=[7, 5, 9], day=days, site=("run", ["a", "bc", "d"]))
    given.to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    predict(str(tiny_store[0]), "tiny", tmp_path / "in.nc", tmp_path / "out.nc", sample_dim="run")
    found = read_file(tmp_path / "out.nc")
    assert found["u"].dims == ("run", "y", "x")
    assert found["u_upper"].dims == ("level", "run", "y", "x")
    for name in ("run", "day", "site"):
        np.testing.assert_array_equal(found[name], given[name])
    assert found["day"].attrs["units"] == "days since 2000-01-01"
    plain = tmp_path / "plain.nc"
    inputs.to_netcdf(plain, engine="h5netcdf")
    predict(str(tiny_store[0]), "tiny", plain, tmp_path / "again.nc")
    np.testing.assert_array_equal(found["u"].values, read_file(tmp_path / "again.nc")["u"].values)
    with pytest.raises(InputError, match="no input has the dimension 'run' of --sample-dim; there are: sample, x, y"):
        predict(str(tiny_store[0]), "tiny", plain, tmp_path / "third.nc", sample_dim="run")


SAME: list[tuple[str, Callable[[xr.Dataset], xr.Dataset]]] = [
    ("double", lambda given: given.astype(np.float64)),
    ("big-endian", lambda given: given.astype(">f4")),
    ("one more dimension", lambda given: given.expand_dims(channel=1, axis=2)),
    ("coordinates rounded", lambda given: given.assign_coords(x=given["x"].astype(np.float32))),
    ("a coordinate is the input", lambda given: given.assign(b=given["a"] * 0).set_coords("a")),
    ("an unrelated time", lambda given: given.assign(t=("sample", np.arange(3.0), {"units": "days since the flood"}))),
    ("an unrelated pack", lambda given: given.assign(t=("sample", np.arange(3.0), {"scale_factor": "two"}))),
    ("units of time", lambda given: given.assign(a=given["a"].assign_attrs(units="s"))),
]


@pytest.mark.parametrize("change", [row[1] for row in SAME], ids=[row[0] for row in SAME])
def test_the_form_of_the_inputs_does_not_matter(
    change: Callable[[xr.Dataset], xr.Dataset], inputs: xr.Dataset, tiny_store: TinyStore, tmp_path: Path
) -> None:
    for name, given in (("one", inputs), ("two", change(inputs))):
        given.to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
        predict(str(tiny_store[0]), "tiny", tmp_path / f"{name}.nc", tmp_path / f"{name}.out.nc")
    first, second = (read_file(tmp_path / f"{name}.out.nc") for name in ("one", "two"))
    np.testing.assert_array_equal(first["u"], second["u"])
    np.testing.assert_array_equal(first["u_lower"], second["u_lower"])


@pytest.mark.parametrize("turned", [("x",), ("y",), ("x", "y")])
def test_points_in_descending_order_are_predicted_where_they_lie(
    turned: tuple[str, ...], inputs: xr.Dataset, ask: Callable[..., xr.Dataset], tmp_path: Path
) -> None:
    first = ask(inputs)
    for file in tmp_path.iterdir():
        file.unlink()
    second = ask(inputs.isel({dim: slice(None, None, -1) for dim in turned}))
    for dim in ("x", "y"):
        assert (second[dim].values[0] > second[dim].values[-1]) == (dim in turned)
    xr.testing.assert_equal(second[["u", "u_upper"]].sortby(["x", "y"]), first[["u", "u_upper"]])


@pytest.mark.parametrize("places", ["the box", "none", "descending"])
def test_another_grid_is_predicted_on_and_its_bands_say_that_they_are_not_calibrated_there(
    places: str, inputs: xr.Dataset, tiny_store: TinyStore, tmp_path: Path
) -> None:
    given = _box(inputs, 24, _centres)
    if places == "none":
        given = given.drop_vars(["x", "y"])
    elif places == "descending":
        given = given.sortby("x", ascending=False)
    given.to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    files = ("--input", str(tmp_path / "in.nc"), "--output", str(tmp_path / "out.nc"))
    done = inside("predict", "tiny", *files, "--store", str(tiny_store[0]), "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["calibrated"] == "calibrated on tiny@v1's law, not on this grid"
    assert "24 points along 'y' and 24 points along 'x'" in done.stderr
    assert "the bands are not calibrated there" in done.stderr
    assert ("without coordinates along 'y', 'x'" in done.stderr) == (places == "none")
    found = read_file(tmp_path / "out.nc")
    assert found["u"].shape == (3, 24, 24)
    assert "not on this grid" in found["u_lower"].attrs["comment"]
    assert ("x" in found.coords) == (places != "none")
    if places != "none":
        np.testing.assert_array_equal(found["x"], given["x"])
        truth = read(Store(tiny_store[0]), "tiny")
        fields = truth["u"].isel(sample=np.flatnonzero(truth["split"].values == "test")[:3])
        near = fields.interp(x=found["x"], y=found["y"], kwargs={"fill_value": "extrapolate"})
        values = found["u"].values
        error, mirrored = (float(np.linalg.norm(one - near.values)) for one in (values, values[..., ::-1]))
        assert error < min(0.5 * float(np.linalg.norm(near)), 0.7 * mirrored)


def test_units_that_differ_are_said(inputs: xr.Dataset, tiny_store: TinyStore, tmp_path: Path) -> None:
    inputs.assign(a=inputs["a"].assign_attrs(units="darcy")).to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    (line,) = predict(str(tiny_store[0]), "tiny", tmp_path / "in.nc", tmp_path / "out.nc").remarks
    assert "has the units 'darcy', the model's are '1'; nothing is converted" in line


def test_a_surrogate_that_knows_its_grid_refuses_another(inputs: xr.Dataset, tiny_store: TinyStore) -> None:
    store = Store(tiny_store[0])
    card = of_model.card(store, "tiny")
    card = card.changed(training=card.training.changed(any_grid=False))
    grid = xr.Dataset(coords={dim: (dim, list(values)) for dim, values in card.grid.items()})
    with tempfile.TemporaryDirectory() as folder:
        _box(inputs, 24, _centres).to_netcdf(Path(folder) / "in.nc", engine="h5netcdf")
        with pytest.raises(InputError, match="has 24 points along 'y'; the model is for 16 alone: its surrogate works"):
            read_inputs(Path(folder) / "in.nc", Interface.of(card, grid))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("out.txt", "ends in .nc"),
        ("nowhere/out.nc", "nowhere does not exist"),
        ("in.nc/out.nc", "in.nc does not exist|Not a directory"),
        ("broken.nc", "exists already"),
        ("in.nc", "exists already"),
    ],
)
def test_a_target_that_cannot_be_written_is_refused(
    target: str, said: str, inputs: xr.Dataset, tiny_store: TinyStore, tmp_path: Path
) -> None:
    source = tmp_path / "in.nc"
    inputs.to_netcdf(source, engine="h5netcdf")
    (tmp_path / "broken.nc").symlink_to(tmp_path / "nothing")
    before = source.read_bytes()
    with pytest.raises(StorageError, match=said):
        predict(str(tiny_store[0]), "tiny", source, tmp_path / target)
    assert source.read_bytes() == before


@pytest.mark.parametrize("model", ["nobody", "tiny@v9"])
def test_an_unknown_model_is_refused(model: str, tiny_store: TinyStore, tmp_path: Path) -> None:
    with pytest.raises(Unknown, match=r"there are: (tiny|v1)"):
        predict(str(tiny_store[0]), model, tmp_path / "in.nc", tmp_path / "out.nc")
