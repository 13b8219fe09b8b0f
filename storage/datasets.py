from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import icechunk
import numpy as np
import xarray as xr
import zarr

from storage.errors import Refused, StorageError, Unknown
from storage.layout import LAYOUT_VERSION, Layout, layout
from storage.ledger import COLUMNS, SPLITS, STATUSES, Ledger, decode, encode
from storage.names import check_name, split_spec
from storage.repository import (
    BRANCH,
    attributes,
    create_repository,
    engine,
    has_shard,
    open_repository,
    stored_shards,
)
from storage.samples import Arrays, Samples, join, read_region, take
from storage.shards import Fork, check_changes, check_index, write_shard
from storage.store import Store
from storage.versions import Version, find_snapshot, numbers, publish, published

__all__ = ["Dataset", "Fork", "Samples", "Version", "list_datasets", "read", "resolve", "write_shard"]


class Dataset:
    """Handle on one dataset: an Icechunk repository in the store, written shard by shard.

    Made by `Dataset.ensure`, `Dataset.create` or `Dataset.open`. Holds no samples. It can be pickled;
    the copy opens the same dataset. One process at a time commits, inside `lock`:

    >>> import numpy as np, xarray as xr
    >>> template = xr.Dataset({"u": (("sample", "x"), np.zeros((4, 3), np.float32), {"role": "output"})})
    >>> dataset = Dataset.create(
    ...     Store(getfixture("tmp_path")), "lines", template, identity="1a2b", recipe={}, shard=2,
    ...     sample_id=np.arange(4), split=["train", "train", "validate", "test"],
    ...     solvers=("direct",), attrs={"rtol": 1e-8},
    ... )
    >>> ledger = {"status": ["ok"] * 2, "reason": [""] * 2, "residual": [1e-9] * 2, "iterations": [0] * 2,
    ...           "matvecs": [1] * 2, "seconds": [0.1] * 2, "solver": ["direct"] * 2}
    >>> with dataset.lock():
    ...     fork = dataset.fork()  # one a run; it goes to the workers
    ...     written = write_shard(fork, 1, {"u": np.ones((2, 3), np.float32)}, ledger)  # on a worker
    ...     dataset.commit(1, written, ledger)
    True
    >>> dataset.progress()
    {'done': 2, 'failed': 0, 'to_go': 2}
    """

    def __init__(self, store: Store, name: str, repository: icechunk.Repository) -> None:
        self.store, self.name = store, name
        self._repository = repository
        with self._engine():
            session = repository.readonly_session(BRANCH)
            self.attrs: dict[str, Any] = attributes(session)
            version = self.attrs.get("layout_version")
            if version != LAYOUT_VERSION:
                raise StorageError(
                    f"{self._location}: layout version {version!r}, expected {LAYOUT_VERSION}; "
                    "it was written by another release or is no dataset of this project"
                )
            arrays = dict(zarr.open_group(session.store, mode="r").arrays())
        self.samples: int = arrays["status"].shape[0]
        self.fields: tuple[str, ...] = tuple(name for name, array in arrays.items() if "role" in array.attrs)
        self._committed: set[int] = set()
        self._head = ""

    @classmethod
    def create(
        cls,
        store: Store,
        name: str,
        template: xr.Dataset,
        *,
        identity: str,
        recipe: Mapping[str, Any],
        sample_id: np.ndarray,
        split: np.ndarray,
        shard: int,
        solvers: tuple[str, ...],
        attrs: Mapping[str, Any],
    ) -> Dataset:
        """Make a dataset that holds everything but its samples.

        It appears in one step: a process killed meanwhile leaves nothing that counts as a dataset.

        Parameters
        ----------
        store, name
            Where, and under which name (letters, digits, ``-``, ``_``, ``.``).
        template
            Dimensions, coordinates, dtypes and attributes of the fields (see `storage.layout.layout`); its
            dimension ``sample`` says how many samples there will be. No data is read.
        identity
            Hash of what fixes the samples.
        recipe
            What makes the dataset, as JSON can hold it.
        sample_id, split
            (n,) integers and (n,) names of `storage.ledger.SPLITS`, in the order of solving.
        shard
            Samples written at once; n is a multiple of it.
        solvers
            Names of the solvers the ledger may name.
        attrs
            Global attributes; ``rtol``, the largest relative residual of an ok sample, is required.

        Raises
        ------
        StorageError
            Something is not as said, or the store cannot be written.
        Refused
            The dataset exists.
        Busy
            Another process is creating it.
        """
        plan = layout(
            template,
            identity=identity,
            recipe=recipe,
            sample_id=sample_id,
            split=split,
            shard=shard,
            solvers=solvers,
            attrs=attrs,
        )
        if not _create(store, name, plan):
            raise Refused(f"dataset {name!r} exists in {store.url}; name a new one")
        return cls.open(store, name)

    @classmethod
    def open(cls, store: Store, name: str) -> Dataset:
        """Open a dataset that exists.

        Raises
        ------
        Unknown
            There is none of this name; the message lists those there are.
        StorageError
            What lies there is no dataset, or has another layout version.
        """
        key = _key(name)
        if not store.exists(key):
            known = ", ".join(list_datasets(store)) or "none yet"
            raise Unknown(f"dataset {name!r}: not in {store.url}; there are: {known}")
        return cls(store, name, open_repository(store, key))

    @classmethod
    def find(cls, store: Store, name: str, identity: str) -> Dataset | None:
        """Open the dataset of this name, None if there is none.

        Raises
        ------
        Refused
            The dataset of this name has another identity.
        """
        if not store.exists(_key(name)):
            return None
        dataset = cls.open(store, name)
        if dataset.identity != identity:
            raise Refused(
                f"dataset {name!r} in {store.url} is made by another recipe: name a new one, e.g. --set name={name}-2"
            )
        return dataset

    @classmethod
    def ensure(
        cls,
        store: Store,
        name: str,
        template: xr.Dataset,
        *,
        identity: str,
        recipe: Mapping[str, Any],
        sample_id: np.ndarray,
        split: np.ndarray,
        shard: int,
        solvers: tuple[str, ...],
        attrs: Mapping[str, Any],
    ) -> Dataset:
        """Open the dataset if it has this identity, create it if there is none; parameters as `create`.

        Raises
        ------
        Refused
            The dataset of this name has another identity.
        """
        found = cls.find(store, name, identity)
        if found is None:
            plan = layout(
                template,
                identity=identity,
                recipe=recipe,
                sample_id=sample_id,
                split=split,
                shard=shard,
                solvers=solvers,
                attrs=attrs,
            )
            # Where another process was quicker, its dataset is opened.
            _create(store, name, plan)
            found = cls.find(store, name, identity)
        return found or cls.open(store, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return Dataset.open, (self.store, self.name)

    def __repr__(self) -> str:
        return f"Dataset({self.store.url!r}, {self.name!r})"

    @property
    def identity(self) -> str:
        """Hash of what fixes the samples."""
        return str(self.attrs["identity"])

    @property
    def recipe(self) -> dict[str, Any]:
        """What makes the dataset."""
        return json.loads(self.attrs["recipe"])

    @property
    def rtol(self) -> float:
        """Largest relative residual of a sample that is ok."""
        return float(self.attrs["rtol"])

    @property
    def solvers(self) -> tuple[str, ...]:
        """The solvers its ledger may name."""
        return tuple(self.attrs["solvers"].split())

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
            stored = _open(self._repository.readonly_session(BRANCH))
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
        return xr.Dataset(fields, coords=coordinates, attrs=stored.attrs)

    def index(self) -> tuple[np.ndarray, np.ndarray]:
        """Return ``sample_id`` (n,) int64 and ``split`` (n,) str of all samples, in the order of solving."""
        with self._engine():
            stored = _open(self._repository.readonly_session(BRANCH))
            return stored["sample_id"].values, np.array(SPLITS)[stored["split"].values]

    def lock(self, wait: float = 0.0) -> AbstractContextManager[None]:
        """Be the only process that commits; released when the block or the process ends.

        Parameters
        ----------
        wait
            Seconds to wait for another holder.

        Raises
        ------
        Busy
            Another process holds it; the message names its pid and host.
        """
        return _lock(self.store, self.name, wait)

    def fork(self) -> Fork:
        """Return a session to write in, for any number of workers.

        Made once at the start of a run: what is written in it can be committed after other shards have been.
        """
        with self._engine():
            return Fork.of(self.identity, self._repository.writable_session(BRANCH).fork())

    def commit(self, shard_index: int, fork: Fork, ledger: Ledger) -> bool:
        """Make a written shard part of the dataset, if it is not yet.

        Parameters
        ----------
        shard_index
            Which shard, from 0.
        fork
            What `write_shard` returned for it.
        ledger
            Its ledger, checked once more.

        Returns
        -------
        bool
            False if the dataset has this shard already: the second receipt is dropped, nothing is changed.

        Raises
        ------
        Refused
            This process does not hold the lock, the fork is of another dataset or changes anything but this
            shard, or the ledger is wrong.
        """
        if not self._locked:
            raise Refused(f"dataset {self.name!r}: one process commits, inside `with dataset.lock():`")
        check_index(shard_index, self.n_shards)
        with self._engine():
            self._refresh()
            # A fork that is older than a commit of the same shard would replace it without a conflict.
            if shard_index in self._committed:
                return False
            if fork.identity != self.identity:
                raise Refused(f"dataset {self.name!r}: the fork is of another dataset, {fork.identity}")
            encode(ledger, self.shard, self.rtol, self.solvers)
            written = check_changes(fork, shard_index, self.fields)
            session = self._repository.writable_session(BRANCH)
            session.merge(written)
            head = session.commit(f"shard {shard_index}", {"shard": shard_index})
        # In this order an interrupt in between only makes the next commit look at the head again.
        self._committed.add(shard_index)
        self._head = head
        return True

    def committed(self) -> set[int]:
        """Return the shards the dataset has now."""
        with self._engine():
            self._refresh()
        return set(self._committed)

    def read_shard(self, shard_index: int) -> Samples | None:
        """Read one shard as it is now, None if it is not committed.

        Returns
        -------
        Samples or None
            ``(sample_id, split, arrays, ledger)``, failed samples included.
        """
        check_index(shard_index, self.n_shards)
        with self._engine():
            session = self._repository.readonly_session(BRANCH)
            if not has_shard(session, shard_index):
                return None
            group = zarr.open_group(session.store, mode="r")
            return read_region(group, shard_index * self.shard, (shard_index + 1) * self.shard)

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

    def publish(self, message: str) -> Version:
        """Name the present state v1, v2, …; the last version again if nothing was committed since.

        Raises
        ------
        Refused
            No shard is committed.
        Busy
            Another process holds the dataset's lock.
        """
        with nullcontext() if self._locked else self.lock(), self._engine():
            self._refresh()
            if not self._committed:
                raise Refused(f"dataset {self.name!r}: no shard is committed, there is nothing to publish")
            samples = len(self._committed) * self.shard
            found = publish(self._repository, self.name, self._head, samples, message)
            # Publishing adds a commit, but no shard.
            self._head = found.snapshot
            return found

    def versions(self) -> list[Version]:
        """Return the published versions, oldest first."""
        with self._engine():
            return published(self._repository, self.name)

    def resolve(self, version: str = "latest") -> Version:
        """Return the version that ``"latest"``, ``"v3"``, a snapshot id or ``"head"`` (unpublished) means.

        Raises
        ------
        Unknown
            There is none; the message lists those there are.
        """
        with self._engine():
            found = find_snapshot(self._repository, self.name, version)
            known = [f"v{number}" for number in numbers(self._repository)]
        if found is None:
            listed = ", ".join(known) or f"none yet ({self.name}@head is the state now)"
            raise Unknown(f"dataset {self.name!r} has no version {version!r}; there are: {listed}")
        return found

    def open_version(self, version: str = "latest") -> xr.Dataset:
        """Open a version as plain xarray does: lazy, all samples, flags as numbers."""
        found = self.resolve(version)
        with self._engine():
            return _open(self._repository.readonly_session(snapshot_id=found.snapshot))

    def ledger(self, version: str | None = None) -> Arrays:
        """Return the ledger of all samples, with ``sample_id`` and ``split``; of the state now by default.

        Returns
        -------
        dict of numpy.ndarray
            Columns (n,); ``status`` is ``"absent"`` where nothing is committed; the other columns say
            nothing there.
        """
        stored = self.open_version(version or "head")
        return {
            "sample_id": stored["sample_id"].values,
            "split": np.array(SPLITS)[stored["split"].values],
            **decode({name: stored[name].values for name in COLUMNS}, self.solvers),
        }

    def progress(self) -> dict[str, int]:
        """Return how many samples are ``done`` (ok), ``failed`` and ``to_go`` now."""
        status = self.open_version("head")["status"].values
        counts = np.bincount(status, minlength=len(STATUSES))
        return {"done": int(counts[1]), "failed": int(counts[2]), "to_go": int(counts[0])}

    @property
    def _location(self) -> str:
        return self.store.location(_key(self.name))

    @property
    def _locked(self) -> bool:
        return self.store.holds(_lock_key(self.name))

    def _engine(self) -> AbstractContextManager[None]:
        return engine(self.store, _key(self.name))

    def _refresh(self) -> None:
        # Another process may have committed since (it held the lock then).
        head = self._repository.lookup_branch(BRANCH)
        if head != self._head:
            self._committed = stored_shards(self._repository.readonly_session(snapshot_id=head))
            self._head = head


def list_datasets(store: Store) -> list[str]:
    """Return the names of the datasets in a store, sorted."""
    return store.list("datasets")


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
    """Open one version of a dataset for reading; what is committed later does not change it.

    Parameters
    ----------
    store
        Where it lies.
    spec
        ``"name"`` or ``"name@latest"``, ``"name@v3"``, ``"name@SNAPSHOT"``, ``"name@head"`` (unpublished).
    statuses
        Which samples, of `storage.ledger.STATUSES`.

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


def _open(session: icechunk.Session) -> xr.Dataset:
    return xr.open_zarr(session.store, consolidated=False, chunks=None)


def _key(name: str) -> str:
    return f"datasets/{check_name('dataset', name)}"


def _lock_key(name: str) -> str:
    return f"datasets/.{name}.lock"


def _lock(store: Store, name: str, wait: float = 0.0) -> AbstractContextManager[None]:
    return store.lock(_lock_key(name), f"dataset {name!r} in {store.url}", wait)


def _create(store: Store, name: str, plan: Layout) -> bool:
    key = _key(name)
    store.check_writable()
    with _lock(store, name):
        if store.exists(key):
            return False
        create_repository(store, key, f"datasets/.{name}.new", plan)
    return True
