from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from ritz.storage.errors import StorageError
from ritz.storage.samples import Arrays
from ritz.storage.selection import Selection

Batch = dict[str, torch.Tensor]
"""Fields by name, ``(batch, *space)``, and ``sample_id`` (batch,) int64."""


class StoredSamples(Dataset[Batch]):
    """Single samples of a version, each read by itself: for looking at some of them in any order.

    To train on all of them use `ShardStream`, which is several times as fast.

    Parameters
    ----------
    selection
        Which samples.

    Examples
    --------
    >>> from ritz.storage.store import Store
    >>> samples = StoredSamples(Selection(Store("ritz-store"), "made@v1"))
    >>> len(samples), samples[0]["u"].shape, samples.sample(1018)["u"].shape
    (8, torch.Size([8, 8]), torch.Size([8, 8]))
    """

    def __init__(self, selection: Selection) -> None:
        self.selection = selection

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.selection)

    def __getitem__(self, row: int) -> Batch:
        """Return the sample at a row of the selection: fields ``space``, ``sample_id`` ()."""
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: list[int]) -> list[Batch]:
        """Return samples, read at the same time; a ``DataLoader`` calls this."""
        n = len(self)
        wrong = [row for row in rows if not -n <= row < n]
        if wrong:
            raise IndexError(f"sample {wrong[0]}: expected one of {-n} to {n - 1}")
        whole = _tensors(self.selection.read(rows), self.selection.sample_id[rows])
        return [{name: values[row] for name, values in whole.items()} for row in range(len(rows))]

    def sample(self, sample_id: int) -> Batch:
        """Return the sample of an id.

        Raises
        ------
        ritz.storage.errors.Unknown
            It is not selected.
        """
        return self[self.selection.row(sample_id)]


class ShardStream(IterableDataset[Batch]):
    """All selected samples of a version once an epoch, in an order drawn from the seed and the epoch.

    Shards are read whole, in random order, by threads that work ahead. Batches are drawn at random from a pool that
    holds the samples of at least ``window`` shards until the last shards are in. Every fetch of a shard takes all of
    its bytes, but only selected samples are decompressed: that costs less than fetching them one by one.

    With ``DataLoader(stream, batch_size=None, num_workers=2, multiprocessing_context="forkserver")`` each worker takes
    every second shard of the order and has a pool of its own. Call `set_epoch` before each epoch, and leave
    ``persistent_workers`` off, which would not hear of it.

    Parameters
    ----------
    selection
        Which samples.
    batch_size
        Samples in a batch; the last one may be smaller. None gives samples one by one, which costs much more time per
        sample.
    seed
        Draws the order, together with the epoch.
    window
        Shards that are mixed, at least 8.
    threads
        Shards that are read at the same time. Memory is that of the samples of ``window + threads + 1`` shards and of
        two batches.

    Raises
    ------
    StorageError
        A number is out of range, or nothing is selected.

    Examples
    --------
    >>> from ritz.storage.store import Store
    >>> stream = ShardStream(Selection(Store("ritz-store"), "made@v1"), batch_size=4, seed=1)
    >>> [tuple(batch["u"].shape) for batch in stream]
    [(4, 8, 8), (4, 8, 8)]
    """

    def __init__(
        self, selection: Selection, *, batch_size: int | None = 32, seed: int = 0, window: int = 8, threads: int = 2
    ) -> None:
        for name, value, least in (("batch_size", batch_size, 1), ("seed", seed, 0), ("threads", threads, 1)):
            if value is not None and value < least:
                raise StorageError(f"{name} is {value}: expected at least {least}")
        if window < 8:
            raise StorageError(f"window is {window}: expected at least 8 shards, fewer mix badly")
        if not len(selection):
            raise StorageError(f"no sample of {selection.version.spec!r} is selected: check its splits and statuses")
        self.selection, self.batch_size, self.seed = selection, batch_size, seed
        self.window, self.threads, self.epoch = window, threads, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""
        self.epoch = epoch

    def sample(self, sample_id: int) -> Batch:
        """Return the sample of an id, read by itself; see `StoredSamples.sample`."""
        return StoredSamples(self.selection).sample(sample_id)

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches, or samples where there is no batch size."""
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        rows = self.selection.by_shard()
        order = np.random.default_rng([self.seed, self.epoch]).permutation(list(rows))[first::step]
        rng = np.random.default_rng([self.seed, self.epoch, first])
        batch_size = self.batch_size or self.selection.shard
        mine = {shard: rows[shard] for shard in order.tolist()}
        with _threads(self.threads) as threads:
            pool = _Pool(self.selection, mine, self.window, batch_size, self.threads, threads)
            while pool.fill():
                batch = pool.draw(batch_size, rng)
                if self.batch_size is not None:
                    yield batch
                else:
                    for row in range(len(batch["sample_id"])):
                        yield {name: values[row] for name, values in batch.items()}


class _Pool:
    """Samples in memory: those that can be drawn, and those that threads are bringing."""

    def __init__(
        self,
        selection: Selection,
        shards: dict[int, np.ndarray],
        window: int,
        batch_size: int,
        ahead: int,
        threads: ThreadPoolExecutor,
    ) -> None:
        self.selection, self.threads = selection, threads
        self.to_come = deque(shards.items())
        self.coming: deque[tuple[Future[None], np.ndarray, np.ndarray]] = deque()
        most = max((len(rows) for rows in shards.values()), default=1)
        # Enough to have the next two batches in memory while one is worked on.
        self.ahead = ahead + math.ceil(2 * batch_size / most)
        self.wanted = max(window * most, batch_size)
        # A shard joins when fewer than the wanted samples are left, so that one more may come on top of them.
        slots = self.wanted + (1 + self.ahead) * most
        self.arrays = selection.reader.empty(slots)
        self.free = deque(range(slots))
        self.slots = np.empty(0, np.int64)
        self.rows = np.empty(0, np.int64)

    def fill(self) -> bool:
        """Wait until the window is full, or everything has come; return whether samples are left.

        When a shard joins depends on numbers of samples alone, so that the order drawn is the same however fast the
        threads are.
        """
        self._request()
        while self.coming and len(self.slots) < self.wanted:
            done, slots, rows = self.coming.popleft()
            done.result()
            self.slots = np.append(self.slots, slots)
            self.rows = np.append(self.rows, rows)
            self._request()
        return bool(len(self.slots))

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Take samples out, at random and without order."""
        chosen = rng.choice(len(self.slots), min(n, len(self.slots)), replace=False)
        slots, rows = self.slots[chosen], self.rows[chosen]
        self.slots, self.rows = np.delete(self.slots, chosen), np.delete(self.rows, chosen)
        taken = {name: values.take(slots, axis=0) for name, values in self.arrays.items()}
        self.free.extend(slots.tolist())
        self._request()
        return _tensors(taken, self.selection.sample_id[rows])

    def _request(self) -> None:
        while self.to_come and len(self.coming) < self.ahead and len(self.to_come[0][1]) <= len(self.free):
            shard, rows = self.to_come.popleft()
            slots = np.array([self.free.popleft() for _ in range(len(rows))])
            reading = self.threads.submit(self.selection.read_shard, shard, rows, self.arrays, slots)
            self.coming.append((reading, slots, rows))


@contextmanager
def _threads(number: int) -> Iterator[ThreadPoolExecutor]:
    threads = ThreadPoolExecutor(number, thread_name_prefix="shards")
    try:
        yield threads
    finally:
        # Also if the caller leaves the stream early: await active reads, drop the rest.
        threads.shutdown(cancel_futures=True)


def _tensors(arrays: Arrays, sample_id: Any) -> Batch:
    return {
        "sample_id": torch.from_numpy(np.asarray(sample_id)),
        **{name: torch.from_numpy(values) for name, values in arrays.items()},
    }
