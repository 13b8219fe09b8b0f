from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.storage.reading import read
from ritz.storage.store import Store
from tests.command import inside, ritz

TinyStore = tuple[Path, dict[str, Any]]


@pytest.mark.parametrize("form", ["zarr", "netcdf", "hdf5"])
def test_an_export_holds_what_the_version_holds(tiny_store: TinyStore, tmp_path: Path, form: str) -> None:
    target = tmp_path / "out"
    done = inside(
        "export", "tiny@v1", "--to", str(target), "--format", form, "--store", str(tiny_store[0]), "--json"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.pop("snapshot") == tiny_store[1]["dataset"]["snapshot"]
    assert said == {"dataset": "tiny", "version": "v1", "samples": 160, "format": form, "path": str(target)}
    stored = read(Store(str(tiny_store[0])), "tiny@v1")
    opened = xr.open_zarr(target, chunks=None) if form == "zarr" else xr.open_dataset(target, engine="h5netcdf")
    with opened:
        for name in stored.data_vars:
            np.testing.assert_array_equal(opened[name], stored[name])
        assert opened.attrs["recipe"] == stored.attrs["recipe"]


def test_it_says_where_it_went(tiny_store: TinyStore, tmp_path: Path) -> None:
    done = ritz("export", "tiny", "--to", "tiny.zarr", "--only-ok", "--store", str(tiny_store[0]), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"160 samples of tiny@v1 in {tmp_path / 'tiny.zarr'}\n"), done.stderr
    assert "export: 160 of 160" in done.stderr


def test_bad_input_is_one_line(tiny_store: TinyStore, tmp_path: Path) -> None:
    store = ("--store", str(tiny_store[0]))
    for arguments, message in (
        (("tiny@v1", "--to", str(tmp_path), *store), f"{tmp_path}: exists already; name a new one"),
        (("tiny@v9", "--to", str(tmp_path / "out"), *store), "has no version 'v9'; there are: v1"),
        (("tiny@v1", "--to", str(tmp_path / "out"), "--format", "csv", *store), "format 'csv': expected one of"),
    ):
        done = inside("export", *arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("ritz: ")
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
