"""The same arrays in every format that is read, part by part; and a line for what is not readable."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr

from ritz.storage.errors import StorageError
from ritz.storage.importing.fingerprint import fingerprint, stamp
from ritz.storage.importing.opening import open_source

VALUES = np.arange(5 * 4 * 3, dtype=np.float32).reshape(5, 4, 3)


def _dataset() -> xr.Dataset:
    return xr.Dataset(
        {"u": (("sample", "y", "x"), VALUES, {"units": "K"})}, coords={"x": [0.0, 0.5, 1.0]}, attrs={"beta": 2.5}
    )


def _hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["u"], file["x"], file.attrs["beta"] = VALUES, [0.0, 0.5, 1.0], 2.5
        file["u"].attrs["units"] = "K"


FORMATS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "netcdf4": ("u.nc", lambda path: _dataset().to_netcdf(path, engine="h5netcdf")),
    "netcdf3": ("u.nc", lambda path: _dataset().to_netcdf(path, engine="scipy", format="NETCDF3_64BIT")),
    "zarr2": ("u.zarr", lambda path: _dataset().to_zarr(path, zarr_format=2, consolidated=False)),
    "zarr3": ("u.zarr", lambda path: _dataset().to_zarr(path, zarr_format=3, consolidated=False)),
    "hdf5": ("u.h5", _hdf5),
    "npy": ("u.npy", lambda path: np.save(path, VALUES)),
    "npz": ("u.npz", lambda path: np.savez(path, u=VALUES, x=np.array([0.0, 0.5, 1.0]))),
}


@pytest.mark.parametrize("format", FORMATS)
def test_parts_of_an_array_are_read_in_every_format(format: str, tmp_path: Path) -> None:
    name, write = FORMATS[format]
    write(tmp_path / name)
    with open_source(tmp_path / name) as source:
        assert "u" in source.names()
        assert source.shape("u") == (5, 4, 3)
        part = source.read("u", (slice(1, 3), 2, slice(None)))
        dims, attrs = source.dims("u"), dict(source.attrs("u"))
        if format not in ("npy", "npz"):
            assert source.number("beta") == 2.5
            assert attrs["units"] == "K"
    # What was read stays when the file is closed.
    assert part.dtype.newbyteorder("=") == np.float32
    assert np.array_equal(part, VALUES[1:3, 2])
    assert dims == (("sample", "y", "x") if format.startswith(("netcdf", "zarr")) else None)


def test_a_zip_of_a_zarr_group_is_read(tmp_path: Path) -> None:
    _dataset().to_zarr(tmp_path / "u.zarr", zarr_format=3, consolidated=False)
    packed = shutil.make_archive(str(tmp_path / "u"), "zip", tmp_path, "u.zarr")
    with open_source(Path(packed)) as source:
        assert np.array_equal(source.read("u"), VALUES)


def test_packed_numbers_are_unpacked_and_fill_values_are_nan(tmp_path: Path) -> None:
    data = xr.Dataset({"u": ("x", np.array([1.5, np.nan, 3.0]))})
    data.to_netcdf(
        tmp_path / "p.nc",
        engine="h5netcdf",
        encoding={"u": {"dtype": "i2", "scale_factor": 0.5, "add_offset": 1.0, "_FillValue": -9}},
    )
    with open_source(tmp_path / "p.nc") as source:
        found = source.read("u")
    assert found.dtype == np.float64
    assert np.array_equal(found, [1.5, np.nan, 3.0], equal_nan=True)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: None, "no such file; expected HDF5"),
        (lambda path: path.write_bytes(b""), "an empty file; expected"),
        (lambda path: path.write_bytes(b"\x1f\x8b0000000"), "compressed by gzip"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"0" * 100), "damaged or of another format"),
        (lambda path: path.write_text("a, b\n1, 2\n"), "of no format that is read; expected"),
        (lambda path: path.mkdir(), "a folder that holds no Zarr group"),
        (lambda path: zarr.create_array(path, shape=(3,), dtype="f4"), "one Zarr array of shape"),
    ],
    ids=["missing", "empty", "gzip", "damaged", "text", "folder", "array"],
)
def test_what_cannot_be_read_is_named_in_a_line(make: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    make(path)
    with pytest.raises(StorageError, match=said) as raised, open_source(path):
        pass
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_an_array_or_an_attribute_that_is_not_there_is_named_with_what_is(tmp_path: Path) -> None:
    _hdf5(tmp_path / "u.h5")
    with h5py.File(tmp_path / "u.h5", "r+") as file:
        file["names"], file.attrs["many"] = np.array([b"one"]), [1.0, 2.0]
    with open_source(tmp_path / "u.h5") as source:
        for call, said in (
            (lambda: source.read("v"), "no array 'v', expected one of names, u, x"),
            (lambda: source.read("names"), "array 'names' holds .*, expected real numbers"),
            (lambda: source.number("bta"), "no attribute 'bta', expected one of .*; did you mean 'beta'"),
            (lambda: source.number("many"), "attribute 'many' is .*, expected one finite number"),
        ):
            with pytest.raises(StorageError, match=said):
                call()


def test_a_fingerprint_is_that_of_the_bytes_of_a_file_and_of_all_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        _dataset().to_zarr(tmp_path / name, zarr_format=2, consolidated=False)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "two")
    before = stamp(tmp_path / "one")
    (tmp_path / "one" / "u" / "0.0.0").write_bytes(b"other")
    assert fingerprint(tmp_path / "one") != fingerprint(tmp_path / "two")
    assert stamp(tmp_path / "one") != before
