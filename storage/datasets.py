from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Self

import icechunk
import numpy as np
import zarr

from ritz.storage.documents import Json, flat, mapping
from ritz.storage.errors import Damaged, Refused, StorageError, Unknown
from ritz.storage.integrity.objects import tag_file, tags
from ritz.storage.layout import LAYOUT_VERSION
from ritz.storage.ledger import COLUMNS, SPLITS, STATUSES, SUMMARIZED, decode, summary
from ritz.storage.listing import look_at_datasets
from ritz.storage.names import dataset_key, lock_key, version_number
from ritz.storage.repository import BRANCH, READER, attributes, has_shard, open_repository, reading, stored_shards
from ritz.storage.samples import Arrays, Samples, join, read_stored_shard, take
from ritz.storage.shards import check_index
from ritz.storage.store import Store
from ritz.storage.versions import ROUNDING, Version, find_snapshot, numbers, published
from ritz.storage.wording import cut, shown

if TYPE_CHECKING:
    import xarray as xr

_RECENT = 50
"""Commits of which `Dataset.rate` is."""


class Dataset:
    """Handle on one dataset, to read it: an Icechunk repository in the store.

    Made by `Dataset.open` or `Dataset.find`. It follows the dataset as it is filled, or stays at one version. Holds
    no samples. It can be pickled; the copy opens the same dataset. What makes and fills a dataset is
    `ritz.storage.committer.Committer`.
    """

    _kept: ClassVar[Mapping[str, int]] = READER

    def __init__(
        self, store: Store, name: str, repository: icechunk.Repository, version: Version | None = None
    ) -> None:
        self.store, self.name, self.version = store, name, version
        self._repository = repository
        self._look()

    def _look(self) -> None:
        """Take in the attributes and the size of the state that is handled."""
        with self._engine():
            session = self._session()
            self.attrs: Json = attributes(session)
            version = self.attrs.get("layout_version")
            if version != LAYOUT_VERSION:
                raise StorageError(
                    f"{self._location}: layout version {version!r}, expected {LAYOUT_VERSION}; "
                    "it was written by another release or is no dataset of this project"
                )
            arrays = dict(zarr.open_group(session.store, mode="r").arrays())
            self.samples: int = arrays["status"].shape[0]
            self.fields: tuple[str, ...] = tuple(name for name, array in arrays.items() if "role" in array.attrs)

    def _session(self) -> icechunk.Session:
        if self.version is None:
            return self._repository.readonly_session(BRANCH)
        return self._repository.readonly_session(snapshot_id=self.version.snapshot)

    @classmethod
    def open(cls, store: Store, name: str) -> Self:
        """Open a dataset that exists, as it is now and will be.

        Raises
        ------
        Unknown
            There is none of this name; the message lists those there are.
        StorageError
            What lies there is no dataset, or has another layout version.
        """
        repository = open_repository(store, dataset_key(name), cls._kept)
        if repository is None:
            known = store.known(name, look_at_datasets(store).good)
            raise Unknown(f"dataset {name!r}: not in {store.url}; there are: {known}")
        return cls(store, name, repository)

    def at(self, version: str) -> Dataset:
        """Return a handle that stays at one version, given as for `resolve`; what is committed later is not in it."""
        return Dataset(self.store, self.name, self._repository, self.resolve(version))

    @classmethod
    def find(cls, store: Store, name: str, identity: str, fixed: Mapping[str, Any] | None = None) -> Self | None:
        """Open the dataset of this name, None if there is none.

        Parameters
        ----------
        identity
            Hash of what fixes the samples.
        fixed
            What it is the hash of, for the message.

        Raises
        ------
        Refused
            The dataset of this name has another identity.
        """
        repository = open_repository(store, dataset_key(name), cls._kept)
        return None if repository is None else cls(store, name, repository).made_by(identity, fixed)

    def made_by(self, identity: str, fixed: Mapping[str, Any] | None = None) -> Self:
        """Return this dataset if it has the identity; see `find`.

        Raises
        ------
        Refused
            It has another one.
        """
        if self.identity != identity:
            theirs, ours = flat(self.recipe), flat(dict(fixed or {}))
            differ = [
                f"{path} is {shown(theirs[path]) if path in theirs else 'absent'} there and {shown(value)} here"
                for path, value in ours.items()
                if path not in theirs or theirs[path] != value
            ]
            raise Refused(
                f"dataset {self.name!r} in {self.store.url} is made by another recipe: "
                + cut("".join(f"{one}; " for one in differ), 1000)
                + f"name a new one, e.g. --set name={self.name}-2"
            )
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self.version is None:
            return type(self).open, (self.store, self.name)
        return _open_at, (self.store, self.name, self.version.snapshot)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store.url!r}, {self.name!r})"

    @property
    def identity(self) -> str:
        """Hash of what fixes the samples."""
        return str(self.attrs["identity"])

    @property
    def recipe(self) -> Json:
        """What makes the dataset."""
        return mapping(self.attrs["recipe"].encode(), f"{self._location}: attribute recipe")

    @property
    def rtol(self) -> float:
        """Largest relative residual of a sample that is ok."""
        return float(self.attrs["rtol"])

    @property
    def solvers(self) -> tuple[str, ...]:
        """The solvers its ledger may name."""
        return tuple(self.attrs["solvers"].split())

    @property
    def rounding_bound(self) -> float | None:
        """What rounding to the stored dtype adds at most to the relative residual of a sample, None if unknown.

        Of a published version; datasets made before it was measured do not know it.
        """
        with self._engine():
            arrays = dict(zarr.open_group(self._session().store, mode="r").arrays())
        found = [array.attrs[ROUNDING] for array in arrays.values() if ROUNDING in array.attrs]
        return float(str(found[0])) if found else None

    @property
    def shard(self) -> int:
        """Samples in a shard."""
        return int(self.attrs["shard"])

    @property
    def n_shards(self) -> int:
        """Shards there will be."""
        return self.samples // self.shard

    @property
    def template(self) -> xr.Dataset:
        """The fields as the problem described them: dims, coordinates, dtypes, attributes; NaN, no memory."""
        with self._engine():
            stored = _open(self._session())
        fields = {
            name: (
                variable.dims,
                np.broadcast_to(variable.dtype.type(np.nan), variable.shape),
                variable.attrs,
            )
            for name, variable in stored.data_vars.items()
            if "role" in variable.attrs
        }
        coordinates = {name: value.load() for name, value in stored.coords.items() if "sample" not in value.dims}
        import xarray as xr

        return xr.Dataset(fields, coords=coordinates, attrs=stored.attrs)

    def index(self) -> tuple[np.ndarray, np.ndarray]:
        """Return ``sample_id`` (n,) int64 and ``split`` (n,) str of all samples, in the order of solving."""
        with self._engine():
            stored = _open(self._session())
            return stored["sample_id"].values, np.array(SPLITS)[stored["split"].values]

    def committed(self) -> set[int]:
        """Return the shards there are."""
        with self._engine():
            return stored_shards(self._session())

    def read_shard(self, shard_index: int) -> Samples | None:
        """Read one shard, None if it is not committed.

        Returns
        -------
        Samples or None
            ``(sample_id, split, arrays, ledger)``, failed samples included.
        """
        check_index(shard_index, self.n_shards)
        with self._engine():
            session = self._session()
            if not has_shard(session, shard_index):
                return None
            group = zarr.open_group(session.store, mode="r")
            return read_stored_shard(group, shard_index, self.shard)

    def read_samples(self, ids: np.ndarray) -> Samples:
        """Read samples by their id, in the order given; every shard concerned is read once, whole.

        Raises
        ------
        Unknown
            An id is not in the dataset, or its shard is not committed.
        """
        wanted = np.asarray(ids, np.int64)
        if wanted.ndim != 1 or not len(wanted):
            raise StorageError(f"ids: expected at least one in one dimension, got shape {wanted.shape}")
        sample_id, _ = self.index()
        order = np.argsort(sample_id)
        place = np.minimum(np.searchsorted(sample_id, wanted, sorter=order), len(order) - 1)
        positions = order[place]
        missing = wanted[sample_id[positions] != wanted]
        if len(missing):
            raise Unknown(f"dataset {self.name!r}: sample {missing[0]} is not in it (it has {self.samples})")
        parts: list[Samples] = []
        found = np.empty(0, np.int64)
        for shard_index in np.unique(positions // self.shard):
            part = self.read_shard(int(shard_index))
            if part is None:
                raise Unknown(f"dataset {self.name!r}: shard {shard_index} is not committed yet")
            inside = positions[positions // self.shard == shard_index] % self.shard
            parts.append(take(part, inside))
            found = np.append(found, np.flatnonzero(positions // self.shard == shard_index))
        back = np.argsort(found)
        return take(join(parts), back)

    def driver(self) -> str | None:
        """Return which process holds the dataset's lock, to commit to it, in words; None if none does."""
        return self.store.holder(lock_key(self.name))

    def versions(self) -> list[Version]:
        """Return the published versions, oldest first.

        Raises
        ------
        Damaged
            The file that says which state a version is holds something else; the engine would pass over it.
        """
        with self._engine():
            self._check_tags()
            return published(self._repository, self.name)

    def resolve(self, version: str = "latest") -> Version:
        """Return the version that ``"latest"``, ``"v3"``, a snapshot id or ``"head"`` (unpublished) means.

        Raises
        ------
        Unknown
            There is none; the message lists those there are.
        """
        with self._engine():
            if version == "latest" or version_number(version) is not None:
                self._check_tags(version)
            found = find_snapshot(self._repository, self.name, version)
            known = [f"v{number}" for number in numbers(self._repository)]
        if found is None:
            listed = ", ".join(known) or f"none yet ({self.name}@head is the state now)"
            raise Unknown(f"dataset {self.name!r} has no version {shown(version)}; there are: {listed}")
        return found

    def open_version(self, version: str = "latest") -> xr.Dataset:
        """Open a version as plain xarray does: lazy, all samples, flags as numbers."""
        found = self.resolve(version)
        with self._engine():
            return _open(self._repository.readonly_session(snapshot_id=found.snapshot))

    def group(self) -> zarr.Group:
        """Open the samples as Zarr does."""
        with self._engine():
            return zarr.open_group(self._session().store, mode="r")

    def ledger(self) -> Arrays:
        """Return the ledger of all samples, with ``sample_id`` and ``split``.

        Returns
        -------
        dict of numpy.ndarray
            Columns (n,); ``status`` is ``"absent"`` where nothing is committed; the other columns say
            nothing there.
        """
        with self._engine():
            stored = _open(self._session())
        return {
            "sample_id": stored["sample_id"].values,
            "split": np.array(SPLITS)[stored["split"].values],
            **decode({name: stored[name].values for name in COLUMNS}, self.solvers),
        }

    def summary(self) -> Json:
        """Return what the ledger says of all samples; see `ritz.storage.ledger.summary`."""
        with self._engine():
            stored = _open(self._session())
        return summary({name: stored[name].values for name in SUMMARIZED}, self.solvers)

    def progress(self) -> dict[str, int]:
        """Return how many samples are ``done`` (ok), ``failed`` and ``to_go``."""
        with self._engine():
            status = _open(self._session())["status"].values
        counts = np.bincount(status, minlength=len(STATUSES))
        return {"done": int(counts[1]), "failed": int(counts[2]), "to_go": int(counts[0])}

    def splits(self) -> dict[str, int]:
        """Return how many samples, ok or failed, each split has, in the order of their names."""
        with self._engine():
            stored = _open(self._session())
            counts = np.bincount(stored["split"].values[stored["status"].values > 0], minlength=len(SPLITS))
        return {split: int(count) for split, count in sorted(zip(SPLITS, counts, strict=True)) if count}

    def rate(self) -> float | None:
        """Return how many samples per second the last commits brought, None if there are less than two."""
        with self._engine():
            seen = []
            for info in self._repository.ancestry(branch=BRANCH):
                if "shards" in info.metadata:
                    seen.append((info.written_at, info.metadata["samples"]))
                # A growth begins anew, and what was before it may be long ago.
                if len(seen) > _RECENT or "grown" in info.metadata:
                    break
        if len(seen) < 2:
            return None
        (until, samples), (since, before) = seen[0], seen[-1]
        span = (until - since).total_seconds()
        return (samples - before) / span if span > 0 else None

    def _check_tags(self, version: str | None = None) -> None:
        """Refuse a version, or all if it is None, where the engine does not see a tag that is there."""
        key = dataset_key(self.name)
        there, seen = tags(self.store, key), self._repository.list_tags()
        for tag in there[-1:] if version == "latest" else there:
            if tag not in seen and version in (None, "latest", tag):
                place = self.store.location(f"{key}/{tag_file(tag)}")
                raise Damaged(f"{place}: does not hold the id of a snapshot; see `ritz audit {self.name}@{tag}`")

    @property
    def _location(self) -> str:
        return self.store.location(dataset_key(self.name))

    def _engine(self) -> AbstractContextManager[None]:
        return reading(self.store, dataset_key(self.name))


def _open_at(store: Store, name: str, snapshot: str) -> Dataset:
    return Dataset.open(store, name).at(snapshot)


def _open(session: icechunk.Session) -> xr.Dataset:
    import xarray as xr

    found = xr.open_zarr(session.store, consolidated=False, chunks=None)
    # Zarr lists arrays in the order in which their metadata happened to come.
    result: xr.Dataset = found[sorted(map(str, found.data_vars))].assign_coords(found.coords)
    return result
