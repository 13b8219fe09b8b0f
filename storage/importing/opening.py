"""Files and folders of others, opened by what they hold, not by their names."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from ritz.storage.errors import StorageError
from ritz.storage.importing.source import Source
from ritz.storage.wording import cut

READABLE = "HDF5, NetCDF, NumPy (.npy, .npz), or a Zarr group in a folder, a zip or an Icechunk repository"


def open_source(path: Path) -> Source:
    """Open a file or folder whose arrays are to be imported.

    Raises
    ------
    StorageError
        There is nothing, or it is of another format or damaged; the message says which formats are read.
    """
    if not path.exists():
        raise StorageError(f"{path}: no such file; expected {READABLE}")
    try:
        return _folder(path) if path.is_dir() else _file(path)
    except StorageError:
        raise
    except (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        reason = cut(str(error).strip().partition("\n")[0]) or type(error).__name__
        raise StorageError(f"{path}: not readable, it is damaged or of another format ({reason})") from error


def _file(path: Path) -> Source:
    with path.open("rb") as file:
        start = file.read(8)
    if start[:4] in (b"CDF\x01", b"CDF\x02"):
        from ritz.storage.importing.classic import ClassicNetCDF

        return ClassicNetCDF(path)
    if start[:6] == b"\x93NUMPY":
        from ritz.storage.importing.numpy_file import NumpyFile

        return NumpyFile(path)
    if start[:4] == b"PK\x03\x04":
        return _zip(path)
    if start == b"\x89HDF\r\n\x1a\n" or _has_user_block(path):
        from ritz.storage.importing.hdf5 import HDF5

        return HDF5(path)
    what = "an empty file" if not start else "compressed by gzip; unpack it" if start[:2] == b"\x1f\x8b" else ""
    raise StorageError(f"{path}: of no format that is read{f': {what}' if what else ''}; expected {READABLE}")


def _has_user_block(path: Path) -> bool:
    """Return whether it is HDF5 that begins with a block of somebody's own."""
    import h5py

    return bool(h5py.is_hdf5(path))


def _zip(path: Path) -> Source:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if all(name.endswith(".npy") for name in names):
        from ritz.storage.importing.numpy_file import NumpyFile

        return NumpyFile(path)
    from zarr.storage import ZipStore

    from ritz.storage.importing.zarr_group import ZarrGroup

    roots = [str(one.parent) for one in map(PurePosixPath, names) if one.name in ("zarr.json", ".zgroup")]
    if not roots:
        raise StorageError(f"{path}: a zip with neither arrays of NumPy nor a Zarr group; expected {READABLE}")
    root = min(roots, key=lambda one: (len(PurePosixPath(one).parts), one))
    store = ZipStore(path, mode="r")
    return ZarrGroup(path, store, "" if root == "." else root, held=store)


def _folder(path: Path) -> Source:
    from ritz.storage.importing.zarr_group import ZarrGroup

    names = {one.name for one in path.iterdir()}
    if {"refs", "snapshots"} <= names or {"repo", "snapshots"} <= names:
        from ritz.storage.repository import BRANCH, attach
        from ritz.storage.store import Store

        repository = attach(Store(path.absolute().parent), path.absolute().name)
        return ZarrGroup(path, repository.readonly_session(BRANCH).store)
    if not names & {"zarr.json", ".zgroup", ".zarray"}:
        raise StorageError(f"{path}: a folder that holds no Zarr group; expected {READABLE}")
    return ZarrGroup(path, str(path))
