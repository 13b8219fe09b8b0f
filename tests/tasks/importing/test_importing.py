"""Files of every format become the same dataset, and new files its next version."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.problems.problem import Arrays
from ritz.storage.datasets import Dataset
from ritz.storage.errors import Damaged, Refused
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.auditing.audit import audit
from ritz.tasks.importing.result import complete
from ritz.tasks.requests.importing import ImportFiles
from tests.tasks.importing.mapped import VARIABLES, imported, made, written


def _stored(store: Path, spec: str) -> Arrays:
    """The fields of a version in the order of their ids."""
    data = read(Store(store), spec).load().sortby("sample_id")
    return {str(name): data[name].values for name in data.data_vars if "role" in data[name].attrs}


def _hdf5(path: Path, fields: Arrays, **attrs: float) -> None:
    with h5py.File(path, "w") as file:
        for name, values in fields.items():
            file[name] = values
        file.attrs.update(attrs)


def _stacked_netcdf(folder: Path, fields: Arrays) -> dict[str, Any]:
    data = xr.Dataset({name: (("run", "lat", "lon"), values) for name, values in fields.items()})
    data["u"].attrs = {"units": "K", "long_name": "temperature"}
    data.assign_coords(lat=np.linspace(0, 1, 6), lon=np.linspace(0, 3, 7)).to_netcdf(
        folder / "all.nc", engine="h5netcdf"
    )
    dims = {"lat": {"axis": "Y"}, "lon": {"axis": "X"}}
    return {
        "files": "all.nc",
        "sample": "run",
        "dims": dims,
        "variables": {"a": {"role": "input"}, "u": {"role": "output"}},
    }


def _one_zarr_per_sample(folder: Path, fields: Arrays) -> dict[str, Any]:
    for row in range(len(fields["a"])):
        data = xr.Dataset({name: (("y", "x"), values[row]) for name, values in fields.items()})
        data.to_zarr(folder / f"{row:02}.zarr", zarr_format=3, consolidated=False)
    return {"files": "*.zarr", "variables": {"a": {"role": "input"}, "u": {"role": "output"}}}


def _numpy_by_variable(folder: Path, fields: Arrays) -> dict[str, Any]:
    for name, values in fields.items():
        (folder / name).mkdir()
        for part, rows in enumerate((slice(0, 8), slice(8, 12))):
            # Transposed, doubled, and in another range.
            np.save(folder / name / f"{part}.npy", 2 * values[rows].transpose(2, 0, 1).astype(np.float64) + 1)
    said = {"dims": ["x", "sample", "y"], "scale": 0.5, "offset": -0.5}
    roles = {"a": "input", "u": "output"}
    return {"variables": {name: {"role": role, "files": f"{name}/*.npy", **said} for name, role in roles.items()}}


def _hdf5_parts(folder: Path, fields: Arrays) -> dict[str, Any]:
    for part, rows in enumerate((slice(0, 4), slice(4, 12))):
        with h5py.File(folder / f"{part}.h5", "w") as file:
            file["in/a"] = np.exp(fields["a"][rows].astype(float))
            file["out/u"] = np.stack([0 * fields["u"][rows], fields["u"][rows]], axis=1)[:, None]
    a = {"role": "input", "from": "in/a", "dims": ["sample", "y", "x"], "apply": "log"}
    u = {"role": "output", "from": "out/u", "dims": ["sample", 1, "part", "y", "x"], "at": {"part": 1}}
    return {"files": "*.h5", "variables": {"a": a, "u": u}}


@pytest.mark.parametrize(
    "lay_out", [_stacked_netcdf, _one_zarr_per_sample, _numpy_by_variable, _hdf5_parts], ids=lambda one: one.__name__
)
def test_every_layout_becomes_the_same_samples(lay_out: Any, tmp_path: Path, cluster: Cluster) -> None:
    fields = made(12)
    document = {"name": "own", "data": {"shard": 3}, **lay_out(tmp_path, fields)}
    found = imported(written(tmp_path, document), tmp_path / "store", cluster)
    assert (found.dataset.spec, found.imported, found.failed) == ("own@v1", 12, 0)
    stored = _stored(tmp_path / "store", "own@v1")
    for name, values in fields.items():
        assert stored[name].dtype == np.float32
        assert stored[name] == pytest.approx(values, rel=1e-6, abs=1e-6)
    dataset = Dataset.open(Store(tmp_path / "store"), "own")
    ids, split = dataset.index()
    assert ids.tolist() == list(range(12))
    assert split.tolist() == ["train"] * 12
    assert dataset.summary() == {"max_residual": None, "solvers": {"import": 12}, "failed": 0, "seconds": 0.0}
    assert np.isnan(dataset.ledger()["residual"]).all()
    if lay_out is _stacked_netcdf:
        template = dataset.template
        assert (template["u"].dims, template["u"].attrs["units"]) == (("sample", "lat", "lon"), "K")
        assert template["lon"].values == pytest.approx(np.linspace(0, 3, 7))
        assert template["lon"].attrs["axis"] == "X"
        record = audit.fn(str(tmp_path / "store"), cluster, "own@v1")
        assert record.clean
        assert not record.not_done
        assert set(record.checks) == {"objects", "history", "checksums", "coordinates", "ids", "splits", "ledger"}


def test_parameters_and_times_are_read(tmp_path: Path, cluster: Cluster) -> None:
    random = np.random.default_rng(0)
    states, rates = random.normal(size=(4, 5, 6)), np.arange(4.0)
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file["state"], file["rate"], file["time"], file.attrs["gravity"] = (
            states,
            rates[:, None],
            np.arange(5) / 10,
            9.81,
        )
    state = {"from": "state", "dims": ["sample", "time", "x"]}
    variables = {
        "start": {"role": "input", **state, "at": {"time": 0}},
        "rate": {"role": "parameter", "dims": ["sample", 1]},
        "gravity": {"role": "parameter", "attribute": "gravity", "units": "m s-2"},
        "u": {"role": "output", **state, "at": {"time": [1, 5]}},
    }
    document = {
        "name": "steps", "files": "all.h5", "variables": variables, "dims": {"time": {"from": "time", "units": "s"}},
        "data": {"dtype": "float64"},
    }  # fmt: skip
    imported(written(tmp_path, document), tmp_path / "store", cluster)
    stored = _stored(tmp_path / "store", "steps@v1")
    assert np.array_equal(stored["start"], states[:, 0])
    assert np.array_equal(stored["u"], states[:, 1:])
    assert np.array_equal(stored["rate"], rates)
    assert stored["gravity"].tolist() == [9.81] * 4
    template = Dataset.open(Store(tmp_path / "store"), "steps").template
    assert template["u"].dims == ("sample", "time", "x")
    assert template["time"].values == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert (template["time"].attrs["axis"], template["gravity"].attrs["units"]) == ("T", "m s-2")


@pytest.fixture
def growing(tmp_path: Path, cluster: Cluster) -> tuple[Path, str, Path]:
    """The folder of a file with 4 samples, what is said of files there, and the store that has them."""
    _hdf5(tmp_path / "0.h5", made(4, 0))
    mapping = written(tmp_path, {"name": "own", "files": "*.h5", "variables": VARIABLES, "data": {"shard": 2}})
    imported(mapping, tmp_path / "store", cluster)
    return tmp_path, mapping, tmp_path / "store"


def test_the_same_again_is_nothing_to_do_and_new_files_are_the_next_version(growing, cluster: Cluster) -> None:
    folder, mapping, store = growing
    done = complete(ImportFiles.read(mapping).planned(str(store)), str(store))
    assert done is not None
    assert (done.dataset.spec, done.imported) == ("own@v1", 0)
    before = Dataset.open(Store(store), "own")
    # Files that come before those there are in the order of names follow them in the dataset.
    _hdf5(folder / "00.h5", made(2, 1))
    _hdf5(folder / "1.h5", made(2, 2))
    assert complete(ImportFiles.read(mapping).planned(str(store)), str(store)) is None
    found = imported(mapping, store, cluster)
    assert (found.dataset.spec, found.dataset.samples, found.imported, found.files) == ("own@v2", 8, 4, 3)
    whole = np.concatenate([made(4, 0)["u"], made(2, 1)["u"], made(2, 2)["u"]])
    assert np.array_equal(_stored(store, "own@v2")["u"], whole)
    assert np.array_equal(_stored(store, "own@v1")["u"], whole[:4])
    after = Dataset.open(Store(store), "own")
    assert after.identity == before.identity
    assert after.recipe["imported"]["files"] == ["0.h5", "00.h5", "1.h5"]
    assert complete(ImportFiles.read(mapping).planned(str(store)), str(store)) is not None
    # Another time of change alone is looked into, and found to be nothing.
    os.utime(folder / "0.h5")
    assert imported(mapping, store, cluster).dataset.spec == "own@v2"


def test_an_import_that_was_killed_goes_on(growing, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, mapping, store = growing
    _hdf5(folder / "1.h5", made(4, 1))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ritz.tasks.importing.importing._write", killed)
        with pytest.raises(KeyboardInterrupt):
            imported(mapping, store, cluster)
    assert Dataset.open(Store(store), "own").progress() == {"done": 4, "failed": 0, "to_go": 4}
    assert complete(ImportFiles.read(mapping).planned(str(store)), str(store)) is None
    assert imported(mapping, store, cluster).dataset.spec == "own@v2"
    assert np.array_equal(_stored(store, "own@v2")["u"], np.concatenate([made(4, 0)["u"], made(4, 1)["u"]]))


def test_samples_that_are_not_finite_have_failed(tmp_path: Path, cluster: Cluster) -> None:
    fields = made(4)
    fields["u"][1, 0, 0], fields["a"][2, 1, 1] = np.nan, np.inf
    fields["u"] = fields["u"].astype(np.float64)
    fields["u"][3, 2, 2] = 1e300
    _hdf5(tmp_path / "0.h5", fields)
    mapping = written(tmp_path, {"name": "own", "files": "*.h5", "variables": VARIABLES})
    assert imported(mapping, tmp_path / "store", cluster).failed == 3
    ledger = Dataset.open(Store(tmp_path / "store"), "own").ledger()
    assert ledger["status"].tolist() == ["ok", "failed", "failed", "failed"]
    assert ledger["reason"].tolist() == ["", "not_finite", "not_finite", "not_finite"]
    assert audit.fn(str(tmp_path / "store"), cluster, "own@v1").clean


def test_files_that_do_not_go_with_those_there_are_are_refused(growing, cluster: Cluster) -> None:
    folder, mapping, store = growing
    _hdf5(folder / "1.h5", made(3, 1))
    with pytest.raises(Refused, match="3 samples in 1 new files are no multiple of the shard, 2 samples"):
        imported(mapping, store, cluster)
    _hdf5(folder / "1.h5", made(4, 1, points=5))
    with pytest.raises(Refused, match=r"array 'a' has the shape \(4, 5, 6\), expected that of the first file"):
        imported(mapping, store, cluster)
    (folder / "1.h5").write_bytes((folder / "0.h5").read_bytes())
    with pytest.raises(Refused, match=r"the same bytes as .*0\.h5, expected each sample once"):
        imported(mapping, store, cluster)
    # A file at another place is the same one.
    (folder / "0.h5").unlink()
    assert imported(mapping, store, cluster).dataset.spec == "own@v1"
    _hdf5(folder / "0.h5", made(4, 3))
    with pytest.raises(Refused, match="has changed since it was imported"):
        imported(mapping, store, cluster)


def test_another_reading_or_another_dataset_of_the_name_is_refused(growing, cluster: Cluster) -> None:
    folder, _, store = growing
    said = {"name": "own", "files": "*.h5", "variables": {**VARIABLES, "u": {**VARIABLES["u"], "scale": 2.0}}}
    with pytest.raises(
        Refused, match=r"was imported otherwise: variables.u.scale was 1.0 and is 2.0; set another name"
    ):
        ImportFiles.read(written(folder, said)).planned(str(store))
    place = store / "imports" / "own.json"
    place.write_text(place.read_text().replace('"samples": 4', '"samples": 5'))
    with pytest.raises(Damaged, match=r"own.json: does not have its own digest"):
        ImportFiles.read(written(folder, said)).planned(str(store))


def test_the_same_samples_in_other_splits_have_the_same_origin(growing, cluster: Cluster) -> None:
    folder, _, store = growing
    shares = {"splits": {"train": 8, "validate": 4, "calibrate": 4, "test": 4}, "shard": 2}
    said = {"name": "other", "files": "*.h5", "variables": VARIABLES, "data": shares}
    imported(written(folder, said), store, cluster)
    one, other = (Dataset.open(Store(store), name) for name in ("own", "other"))
    assert one.recipe["problem"] == other.recipe["problem"]
    assert one.identity != other.identity


def test_what_has_no_room_is_refused_before_anything_is_written(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    _hdf5(tmp_path / "0.h5", made(4))
    monkeypatch.setattr("ritz.tasks.generation.room.free_bytes", lambda _: 100)
    mapping = written(tmp_path, {"name": "own", "files": "*.h5", "variables": VARIABLES})
    with pytest.raises(Refused, match="to keep 4 new samples of"):
        imported(mapping, tmp_path / "store", cluster)
    assert not list((tmp_path / "store").glob("*/own*"))
