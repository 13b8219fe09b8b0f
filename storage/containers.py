"""Formats of a user's files and folders, detected from their contents, not from their names."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import icechunk
import xarray as xr
import zarr
from zarr.storage import ZipStore

from ritz.storage.errors import StorageError
from ritz.storage.repository import BRANCH, attach
from ritz.storage.store import Store
from ritz.storage.wording import cut

READABLE = "a NetCDF file, or a Zarr group in a folder, a zip or an Icechunk repository"

UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, EOFError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, icechunk.IcechunkError),
)
"""What the libraries raise for files that are damaged or not what they seem."""


@dataclass(frozen=True)
class Container:
    """A file or folder that is open.

    Attributes
    ----------
    what
        What it is, in words.
    groups
        The variables of every group that has some, by its path; the root's is empty.
    open
        Opens a group, its numbers and times not decoded.
    """

    what: str
    groups: dict[str, tuple[str, ...]]
    open: Callable[[str], AbstractContextManager[xr.Dataset]]


@contextmanager
def opened(path: Path) -> Iterator[Container]:
    """Open the file or folder at a path.

    Raises
    ------
    StorageError
        The path does not exist or holds no variables; the message names its contents.
    """
    if not path.exists():
        raise StorageError(f"{path}: no such file; expected {READABLE}")
    if path.is_dir():
        with _folder(path) as found:
            yield found
    elif path.is_file():
        with _file(path) as found:
            yield found
    else:
        raise StorageError(f"{path}: neither a file nor a folder; expected {READABLE}")


def _file(path: Path) -> AbstractContextManager[Container]:
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror})") from error
    if start[:4] in (b"CDF\x01", b"CDF\x02"):
        return _classic(path)
    if start[:4] == b"CDF\x05":
        raise StorageError(f"{path}: NetCDF of the form CDF-5, which is not read; convert it: nccopy -k nc4 IN OUT")
    if zipfile.is_zipfile(path):
        return _zip(path)
    if h5py.is_hdf5(path):
        return _hdf5(path)
    what = "an empty file" if not start else "compressed by gzip; unpack it" if start[:2] == b"\x1f\x8b" else ""
    raise StorageError(f"{path}: not readable as NetCDF{f': {what}' if what else ''}; expected {READABLE}")


@contextmanager
def _classic(path: Path) -> Iterator[Container]:
    def open_group(_: str) -> xr.Dataset:
        return xr.open_dataset(path, engine="scipy", decode_cf=False)

    with open_group("") as root:
        names = tuple(map(str, root.data_vars))
    yield Container("NetCDF, classic", {"": names}, open_group)


@contextmanager
def _hdf5(path: Path) -> Iterator[Container]:
    groups: dict[str, tuple[str, ...]] = {}

    def look(key: str, member: h5py.Group | h5py.Dataset) -> None:
        # All is read here that opening needs: of a file that is damaged h5netcdf complains once more when it goes.
        attrs = dict(member.attrs)
        group, _, name = key.rpartition("/")
        if isinstance(member, h5py.Dataset) and attrs.get("CLASS") != b"DIMENSION_SCALE":
            groups[group] = (*groups.get(group, ()), name)

    with h5py.File(path, "r") as file:
        look("", file)
        file.visititems(look)

    def open_group(group: str) -> xr.Dataset:
        # A plain HDF5 file has arrays without named dimensions; then they are numbered, and none is the one expected.
        return xr.open_dataset(path, engine="h5netcdf", group=group or None, decode_cf=False, phony_dims="access")

    yield Container("NetCDF-4", groups, open_group)


@contextmanager
def _zip(path: Path) -> Iterator[Container]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    roots = [str(one.parent) for one in map(PurePosixPath, names) if one.name in ("zarr.json", ".zgroup", ".zarray")]
    if not roots:
        listed = ", ".join(sorted({name.partition("/")[0] for name in names})[:5]) or "nothing"
        raise StorageError(
            f"{path}: a zip that holds {cut(listed)}, and no Zarr group; unpack it and name what is inside"
        )
    root = min(roots, key=lambda one: (len(PurePosixPath(one).parts), one))
    store = ZipStore(path, mode="r")
    try:
        yield _zarr(path, store, "a zipped Zarr group", "" if root == "." else root)
    finally:
        store.close()


@contextmanager
def _folder(path: Path) -> Iterator[Container]:
    names = {one.name for one in path.iterdir()}
    if {"refs", "snapshots"} <= names or {"repo", "snapshots"} <= names:
        yield _icechunk(path)
    elif names & {"zarr.json", ".zgroup", ".zarray"}:
        yield _zarr(path, str(path), "a Zarr group")
    else:
        raise StorageError(f"{path}: not readable as Zarr: a folder that holds {_listed(path)}; expected {READABLE}")


def _listed(path: Path) -> str:
    """Return what a folder holds, in words."""
    datasets = path / "datasets"
    if datasets.is_dir():
        inside = ", ".join(f"{datasets / one.name}" for one in sorted(datasets.iterdir()) if one.name[0] != ".")
        return f"a store with the datasets {inside or '(none)'}, which can be named"
    names = sorted(one.name for one in path.iterdir())
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else "nothing"


def _icechunk(path: Path) -> Container:
    repository = attach(Store(path.absolute().parent), path.absolute().name)
    return _zarr(path, repository.readonly_session(BRANCH).store, f"an Icechunk repository, its branch {BRANCH!r}")


def _zarr(path: Path, store: Any, what: str, root: str = "") -> Container:
    top = zarr.open(store, path=root, mode="r")
    if isinstance(top, zarr.Array):
        raise StorageError(f"{path}: one Zarr array of shape {top.shape}; expected a group with named arrays")
    groups: dict[str, tuple[str, ...]] = {}
    for key, member in sorted(top.members(max_depth=None)):
        if isinstance(member, zarr.Array):
            group, _, name = key.rpartition("/")
            if not _is_dimension(member, name):
                groups[group] = (*groups.get(group, ()), name)

    def open_group(group: str) -> xr.Dataset:
        inside = "/".join(part for part in (root, group) if part)
        return xr.open_zarr(store, group=inside or None, consolidated=False, chunks=None, decode_cf=False)

    return Container(what, groups, open_group)


def _is_dimension(array: zarr.Array, name: str) -> bool:
    """Return whether an array holds the coordinates of the dimension of its name."""
    meta: Any = array.metadata
    dims: Any = getattr(meta, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    return tuple(dims or ()) == (name,)
