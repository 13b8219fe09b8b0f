from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from ritz.storage.chunks import FieldReader
from ritz.storage.datasets import Dataset
from ritz.storage.errors import StorageError, Unknown
from ritz.storage.ledger import SPLITS, STATUSES
from ritz.storage.names import dataset_key, split_spec
from ritz.storage.repository import engine
from ritz.storage.samples import Arrays
from ritz.storage.store import Store


class Selection:
    """Some samples of one version of a dataset, and their reader; later commits do not change it.

    It can be pickled, and the copy reads the same samples. In a process made by ``fork`` the storage engine, whose
    threads the fork left behind, would wait for ever: there it is refused.

    Parameters
    ----------
    store
        Store of the dataset.
    spec
        ``"name"`` or ``"name@latest"``, ``"name@v3"``, ``"name@SNAPSHOT"``, ``"name@head"``: settled now.
    splits
        Which samples, of `ritz.storage.ledger.SPLITS`; None for all.
    statuses
        Which of them, of `ritz.storage.ledger.STATUSES`.
    fields
        Names of fields; None for all.

    Raises
    ------
    Unknown
        There is no such dataset or version.
    StorageError
        There is no such split, status or field.

    Attributes
    ----------
    version : Version
        What ``spec`` meant.
    positions : numpy.ndarray
        (n,) int64, ascending: where the samples lie in the dataset.
    sample_id : numpy.ndarray
        (n,) int64, their ids.
    shard : int
        Samples in a shard of the dataset.
    """

    def __init__(
        self,
        store: Store,
        spec: str,
        *,
        splits: Sequence[str] | None = ("train",),
        statuses: Sequence[str] = ("ok",),
        fields: Sequence[str] | None = None,
    ) -> None:
        name, version = split_spec("dataset", spec)
        dataset = Dataset.open(store, name)
        self._store, self._fields = store, None if fields is None else tuple(fields)
        self.version = dataset.resolve(version)
        self.shard = dataset.shard
        group = dataset.at(self.version.snapshot).group()
        with engine(store, dataset_key(name)):
            stored = dict(group.arrays())
            keep = _among("statuses", statuses, STATUSES, np.asarray(stored["status"]))
            if splits is not None:
                keep &= _among("splits", splits, SPLITS, np.asarray(stored["split"]))
            self.positions = np.flatnonzero(keep)
            self.sample_id = np.asarray(stored["sample_id"])[keep]
            self._reader: FieldReader | None = FieldReader(stored, self._fields)
        self._process = os.getpid()

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.positions)

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_reader": None, "_process": None}

    def __repr__(self) -> str:
        return f"Selection({self._store.url!r}, {self.version.spec!r}: {len(self)} samples)"

    @property
    def reader(self) -> FieldReader:
        """What reads the fields.

        Raises
        ------
        StorageError
            This process is a fork of the one that opened the dataset.
        """
        if self._process not in (None, os.getpid()):
            raise StorageError(
                f"dataset {self.version.spec!r} was opened in another process, of which this one is a fork: the "
                "storage engine does not survive that. Start processes by 'forkserver' or 'spawn', as in "
                "DataLoader(…, num_workers=2, multiprocessing_context='forkserver')"
            )
        if self._reader is None:
            dataset = Dataset.open(self._store, self.version.name)
            stored = dict(dataset.at(self.version.snapshot).group().arrays())
            self._reader, self._process = FieldReader(stored, self._fields), os.getpid()
        return self._reader

    def by_shard(self) -> dict[int, np.ndarray]:
        """Return the rows in `positions` of each shard's samples; shards without any are left out."""
        shards, first = np.unique(self.positions // self.shard, return_index=True)
        rows = np.split(np.arange(len(self.positions)), first[1:]) if len(shards) else []
        return dict(zip(shards.tolist(), rows, strict=True))

    def read_shard(self, shard: int, rows: np.ndarray, out: Mapping[str, np.ndarray], slots: np.ndarray) -> None:
        """Read samples of one shard into rows of arrays; see `ritz.storage.chunks.FieldReader.read_shard`.

        Parameters
        ----------
        shard, rows
            From `by_shard`.
        out, slots
            Arrays ``(m, *space)`` by field, and which of their rows.
        """
        with engine(self._store, dataset_key(self.version.name)):
            self.reader.read_shard(shard, self.positions[rows] % self.shard, out, slots)

    def read(self, rows: Sequence[int] | np.ndarray) -> Arrays:
        """Read samples by their rows in `positions`, one chunk per field and sample."""
        with engine(self._store, dataset_key(self.version.name)):
            return self.reader.read_samples(self.positions[np.asarray(rows, np.int64)])

    def row(self, sample_id: int) -> int:
        """Return the row of a sample in `positions`.

        Raises
        ------
        Unknown
            It is not among these samples.
        """
        found = np.flatnonzero(self.sample_id == sample_id)
        if not len(found):
            raise Unknown(
                f"sample {sample_id} of {self.version.spec!r} is not among the {len(self)} selected: it is in no such "
                "version, split or status"
            )
        return int(found[0])


def _among(what: str, wanted: Sequence[str], known: Sequence[str], stored: np.ndarray) -> np.ndarray:
    unknown = sorted(set(wanted) - set(known))
    if isinstance(wanted, str) or unknown:
        raise StorageError(f"{what} {wanted!r}: expected some of {list(known)}, as in ({known[1]!r},)")
    return np.isin(stored, [known.index(name) for name in wanted])
