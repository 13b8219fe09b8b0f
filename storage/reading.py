"""Opening versions of datasets by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ritz.storage.datasets import Dataset
from ritz.storage.errors import StorageError
from ritz.storage.ledger import SPLITS, STATUSES
from ritz.storage.names import split_spec
from ritz.storage.store import Store
from ritz.storage.versions import Version

if TYPE_CHECKING:
    import xarray as xr


def resolve(store: Store, spec: str) -> Version:
    """Return the version that ``"name"``, ``"name@latest"``, ``"name@v3"``, ``"name@SNAPSHOT"`` means.

    Raises
    ------
    Unknown
        There is no such dataset or version; the message lists those there are.
    """
    name, version = split_spec("dataset", spec)
    return Dataset.open(store, name).resolve(version)


def read(store: Store, spec: str, statuses: tuple[str, ...] = ("ok",)) -> xr.Dataset:
    """Open one version of a dataset for reading; later commits do not change it.

    Parameters
    ----------
    store
        Store of the dataset.
    spec
        ``"name"`` or ``"name@latest"``, ``"name@v3"``, ``"name@SNAPSHOT"``, ``"name@head"`` (unpublished).
    statuses
        Which samples, of `ritz.storage.ledger.STATUSES`.

    Returns
    -------
    xarray.Dataset
        Lazy: fields are read when they are asked for. ``split`` is decoded to strings, other flags are
        numbers with ``flag_values`` and ``flag_meanings``.

    Raises
    ------
    Unknown
        There is no such dataset or version; the message lists those there are.
    """
    unknown = sorted(set(statuses) - set(STATUSES))
    if unknown:
        raise StorageError(f"statuses {unknown}: expected some of {list(STATUSES)}")
    name, version = split_spec("dataset", spec)
    stored = Dataset.open(store, name).open_version(version)
    names = np.array(SPLITS)[stored["split"].values]
    stored = stored.assign_coords(split=("sample", names, {"long_name": stored["split"].attrs["long_name"]}))
    keep = np.isin(stored["status"].values, [STATUSES.index(status) for status in statuses])
    # Selecting by position is slow within a shard, so it is left out where it would change nothing.
    return stored if keep.all() else stored.isel(sample=np.flatnonzero(keep))
