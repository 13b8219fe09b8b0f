from __future__ import annotations

import os
import tempfile
from pathlib import Path

import xarray as xr

from storage.errors import StorageError


def read_file(path: Path) -> xr.Dataset:
    """Read a NetCDF file or a Zarr store into memory.

    Parameters
    ----------
    path
        A folder is read as Zarr, a file as NetCDF (version 4 or HDF5).

    Raises
    ------
    StorageError
        If there is nothing, or something else.
    """
    if not path.exists():
        raise StorageError(f"{path}: no such file; expected a NetCDF file or a Zarr store")
    try:
        if path.is_dir():
            with xr.open_zarr(path, consolidated=False) as dataset:
                return dataset.load()
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load()
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(f"{path}: not readable as {'Zarr' if path.is_dir() else 'NetCDF'} ({error})") from error


def check_target(path: Path) -> None:
    """Raise a `StorageError` if `write_file` could not write ``path``: wrong ending, no folder, or it exists."""
    if path.suffix not in (".nc", ".zarr"):
        raise StorageError(f"{path}: expected a name that ends in .nc (NetCDF) or .zarr (Zarr)")
    if path.exists():
        raise StorageError(f"{path}: exists already; name a new file")
    if not os.access(path.parent, os.W_OK):
        raise StorageError(f"{path}: the folder {path.parent} does not exist or cannot be written")


def write_file(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset as NetCDF (``.nc``) or Zarr (``.zarr``), aside first, so that no half of it is ever there."""
    check_target(path)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        aside = Path(folder) / path.name
        if path.suffix == ".nc":
            dataset.to_netcdf(aside, engine="h5netcdf")
        else:
            dataset.to_zarr(aside, mode="w", consolidated=False, zarr_format=3)
        aside.rename(path)
