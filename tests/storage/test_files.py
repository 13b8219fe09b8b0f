"""Files of users, in every form that is read, and what is said of the others."""

from __future__ import annotations

import gzip
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import icechunk
import numpy as np
import pytest
import xarray as xr
import zarr

from ritz.storage.errors import StorageError
from ritz.storage.files import read_file, write_file
from ritz.storage.targets import written_whole


@pytest.fixture
def data() -> xr.Dataset:
    values = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    numbers = ("sample", np.array([2.0, 3.0]))
    coords = {"y": np.arange(3.0), "x": np.arange(4.0), "run": ("sample", [5, 6])}
    return xr.Dataset({"a": (("sample", "y", "x"), values), "nu": numbers}, coords=coords)


def _icechunk(data: xr.Dataset, path: Path, group: str | None = None) -> None:
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(path)))
    session = repository.writable_session("main")
    data.to_zarr(session.store, group=group, consolidated=False, zarr_format=3)
    session.commit("made")


def _zip(data: xr.Dataset, path: Path) -> None:
    data.to_zarr(path.with_name("made.zarr"), consolidated=False, zarr_format=3)
    shutil.make_archive(str(path), "zip", path.with_name("made.zarr"))
    path.with_name(f"{path.name}.zip").rename(path)


def _zipped_folder(data: xr.Dataset, path: Path) -> None:
    data.to_zarr(path.with_name("made.zarr"), consolidated=False, zarr_format=2)
    shutil.make_archive(str(path), "zip", path.parent, "made.zarr")
    path.with_name(f"{path.name}.zip").rename(path)


FORMS: dict[str, Callable[[xr.Dataset, Path], object]] = {
    "netcdf-4": lambda data, path: data.to_netcdf(path, engine="h5netcdf"),
    "netcdf-4 group": lambda data, path: data.to_netcdf(path, engine="h5netcdf", group="given/inputs"),
    "netcdf-3 classic": lambda data, path: data.to_netcdf(path, engine="scipy", format="NETCDF3_CLASSIC"),
    "netcdf-3 64-bit": lambda data, path: data.to_netcdf(path, engine="scipy", format="NETCDF3_64BIT"),
    "zarr 2": lambda data, path: data.to_zarr(path, consolidated=False, zarr_format=2),
    "zarr 2 consolidated": lambda data, path: data.to_zarr(path, consolidated=True, zarr_format=2),
    "zarr 3": lambda data, path: data.to_zarr(path, consolidated=False, zarr_format=3),
    "zarr 3 group": lambda data, path: data.to_zarr(path, consolidated=False, zarr_format=3, group="given"),
    "zarr zip": _zip,
    "zip of a zarr folder": _zipped_folder,
    "icechunk": _icechunk,
    "icechunk group": lambda data, path: _icechunk(data, path, "given"),
}


@pytest.mark.parametrize("named", ["in.nc", "in.zarr", "no-ending"])
@pytest.mark.parametrize("form", list(FORMS))
def test_every_form_is_read_whatever_its_name(form: str, named: str, data: xr.Dataset, tmp_path: Path) -> None:
    FORMS[form](data, tmp_path / named)
    found = read_file(tmp_path / named, ("a", "nu"))
    for name in ("a", "nu"):
        np.testing.assert_array_equal(found[name].transpose(*data[name].dims), data[name])
    np.testing.assert_array_equal(found["x"], data["x"])
    if "group" not in form:
        np.testing.assert_array_equal(found["run"], data["run"])


@pytest.mark.parametrize("form", ["netcdf-4", "netcdf-3 classic", "zarr 3"])
def test_missing_and_packed_values_are_decoded_and_times_are_not(form: str, data: xr.Dataset, tmp_path: Path) -> None:
    packed = (("sample",), np.array([10, -99], np.int16), {"_FillValue": np.int16(-99), "scale_factor": 0.5})
    lasting = (("sample",), np.array([1.0, 2.0]), {"units": "s"})
    FORMS[form](data.assign(p=packed, d=lasting), tmp_path / "in")
    found = read_file(tmp_path / "in", ("p", "d"))
    np.testing.assert_array_equal(found["p"], [5.0, np.nan])
    np.testing.assert_array_equal(found["d"], [1.0, 2.0])


def test_what_is_not_asked_for_is_not_looked_at(data: xr.Dataset, tmp_path: Path) -> None:
    strange = {
        "when": ("sample", [1.0, 2.0], {"units": "days since the flood", "calendar": "none"}),
        "pack": ("sample", [1.0, 2.0], {"scale_factor": "two"}),
    }
    data.assign(strange).to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    assert set(read_file(tmp_path / "in.nc", ("a",)).data_vars) == {"a"}
    data.assign_coords(strange).to_netcdf(tmp_path / "along.nc", engine="h5netcdf")
    np.testing.assert_array_equal(read_file(tmp_path / "along.nc", ("a",))["when"], [1.0, 2.0])


def _two_groups(data: xr.Dataset, path: Path) -> None:
    data.to_netcdf(path, engine="h5netcdf", group="one")
    data.to_netcdf(path, engine="h5netcdf", group="two", mode="a")


def _plain_zip(data: xr.Dataset, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inputs.nc", b"CDF")


def _store(data: xr.Dataset, path: Path) -> None:
    (path / "datasets" / "darcy").mkdir(parents=True)


def _files(data: xr.Dataset, path: Path) -> None:
    path.mkdir()
    data.to_netcdf(path / "inner.nc", engine="h5netcdf")


def _hdf5(data: xr.Dataset, path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["b"] = data["a"].values


STRANGE: dict[str, tuple[Callable[[xr.Dataset, Path], object], str]] = {
    "nothing": (lambda *_: None, "no such file; expected a NetCDF file, or a Zarr group"),
    "empty": (lambda _, path: path.write_bytes(b""), "an empty file"),
    "text": (lambda _, path: path.write_text("a,b\n1,2\n"), "not readable as NetCDF; expected"),
    "gzip": (lambda _, path: path.write_bytes(gzip.compress(b"CDF\x01")), "compressed by gzip; unpack it"),
    "cdf-5": (lambda _, path: path.write_bytes(b"CDF\x05" + bytes(60)), "CDF-5, which is not read; convert it: ncc"),
    "folder of files": (_files, "a folder that holds inner.nc"),
    "a store": (_store, r"a store with the datasets .*datasets/darcy, which can be named"),
    "an empty folder": (lambda _, path: path.mkdir(), "a folder that holds nothing"),
    "a zip of others": (_plain_zip, "a zip that holds inputs.nc, and no Zarr group; unpack it"),
    "two groups": (_two_groups, "the groups 'one', 'two' all have a"),
    "an array": (lambda _, path: zarr.create_array(str(path), data=np.ones(3)), r"one Zarr array of shape \(3,\)"),
    "a group with nothing": (lambda _, path: zarr.create_group(str(path)), "a Zarr group without a variable"),
    "a pipe": (lambda _, path: os.mkfifo(path), "neither a file nor a folder"),
}


@pytest.mark.parametrize("kind", list(STRANGE))
def test_what_cannot_be_read_is_named(kind: str, data: xr.Dataset, tmp_path: Path) -> None:
    make, said = STRANGE[kind]
    make(data, tmp_path / "in")
    with pytest.raises(StorageError, match=said) as caught:
        read_file(tmp_path / "in", ("a",))
    assert str(caught.value).startswith(str(tmp_path / "in"))
    assert "\n" not in str(caught.value)


def test_arrays_of_plain_hdf5_have_no_named_dimensions(data: xr.Dataset, tmp_path: Path) -> None:
    _hdf5(data, tmp_path / "in.h5")
    found = read_file(tmp_path / "in.h5", ("a", "b"))
    assert "a" not in found
    assert found.encoding["variables"] == ["b"]
    assert not {"sample", "y", "x"} & set(found["b"].dims)


@pytest.mark.parametrize("form", ["netcdf-4", "netcdf-3 classic", "netcdf-3 64-bit", "zarr zip"])
def test_a_damaged_file_is_one_line(form: str, data: xr.Dataset, tmp_path: Path) -> None:
    """Cut anywhere, and with bytes overwritten: an answer or one clear error, never another exception."""
    FORMS[form](data, tmp_path / "whole")
    whole, rng = (tmp_path / "whole").read_bytes(), np.random.default_rng(0)
    refused = 0
    for trial in range(40):
        broken = bytearray(whole)
        if trial % 2:
            del broken[int(rng.integers(4, len(whole))) :]
        else:
            for place in rng.integers(4, min(len(whole), 600), 8):
                broken[place] = int(rng.integers(256))
        (tmp_path / "in").write_bytes(broken)
        said = _refusal(tmp_path / "in")
        refused += bool(said)
        assert not said or (said.startswith(str(tmp_path / "in")) and "\n" not in said)
    assert refused


def _refusal(path: Path) -> str:
    try:
        read_file(path, ("a", "nu"))
    except StorageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_an_error_while_writing_leaves_nothing(suffix: str, data: xr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"."):
        write_file(data.assign(bad=("sample", np.array([object(), object()]))), tmp_path / f"out{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_what_came_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    def write() -> None:
        with written_whole(tmp_path / "out") as aside:
            aside.write_text("mine")
            (tmp_path / "out").write_text("theirs")

    with pytest.raises(StorageError, match="exists already"):
        write()
    assert (tmp_path / "out").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_coordinate_has_no_fill_value_and_a_mesh_a_topology(data: xr.Dataset, tmp_path: Path) -> None:
    nodes = {"x": ("node", np.arange(4.0)), "y": ("node", np.zeros(4)), "triangle": (("face", "corner"), [[0, 1, 2]])}
    mesh = xr.Dataset({"T": (("sample", "node"), np.ones((2, 4)))}, coords=nodes)
    write_file(mesh, tmp_path / "mesh.nc")
    write_file(data, tmp_path / "out.nc")
    with h5py.File(tmp_path / "mesh.nc") as file, h5py.File(tmp_path / "out.nc") as plain:
        topology = dict(file["mesh"].attrs)
        assert (topology["cf_role"], topology["topology_dimension"]) == ("mesh_topology", 2)
        assert all(name in file for name in topology["node_coordinates"].split())
        assert file[topology["face_node_connectivity"]].attrs["start_index"] == 0
        assert (file["T"].attrs["mesh"], file["T"].attrs["location"]) == ("mesh", "node")
        assert "UGRID-1.0" in file.attrs["Conventions"]
        assert all("_FillValue" not in plain[name].attrs for name in ("x", "y"))
        assert "mesh" not in plain
    xr.testing.assert_equal(read_file(tmp_path / "mesh.nc").drop_vars("mesh"), mesh)


def test_long_names_in_a_zip_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(5):
            archive.writestr(f"{number}{'x' * 20000}", "")
    with pytest.raises(StorageError, match="a zip that holds 0xx") as caught:
        read_file(path)
    assert len(str(caught.value)) < 1000
