"""Passes over a split: workers look at a block of samples each, and the driver keeps little of it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.stream import stream
from ritz.compute.evaluation.measured import Measured
from ritz.compute.fields.tensors import pack, unpack
from ritz.storage.errors import StorageError
from ritz.storage.store import Store
from ritz.tasks.driver.progress import Reporter
from ritz.tasks.measuring.split_fields import of_split, variables
from ritz.tasks.measuring.worker import Asked, Block, Case, Looked, looked

BLOCK_BYTES = 2**24
"""Fields of a block, at most: a worker holds some twenty copies of them."""

BATCH = 32
"""Samples that a prediction takes at a time; blocks are of whole batches where there is room for one."""

ROUNDS = 4
"""Blocks per worker, at least where there are samples enough, so that no worker waits long for the last."""

KEEP_EVERY = 30.0
"""Seconds from one writing of what has been seen to the next."""

REPORT_FROM = 5.0
"""Seconds after which a pass says how far it is."""

_FORMAT = 1


def blocks(case: Case, data: xr.Dataset, split: str, workers: int, limit: int | None = None) -> list[Block]:
    """Cut a split into blocks that workers look at.

    Parameters
    ----------
    data
        The samples of the dataset that are good.
    limit
        At most so many samples; see `of_split`.
    """
    rows = of_split(data, split, limit)
    names = [*variables(data, "input"), *variables(data, "output")]
    sample = sum(data[name][0].nbytes for name in names)
    size = max(1, min(BLOCK_BYTES // sample, -(-len(rows) // (ROUNDS * max(1, workers)))))
    if BATCH * sample <= BLOCK_BYTES:
        size = -(-size // BATCH) * BATCH
    return [Block(case, number, rows[first : first + size]) for number, first in enumerate(range(0, len(rows), size))]


class Pass:
    """One pass over blocks; after a driver was killed, the same pass goes on with the blocks that were not seen.

    What takes longer than `KEEP_EVERY` is kept in the store until `forget`.

    Parameters
    ----------
    stage
        What a report of the progress calls it.
    function
        Looks at a block: ``function(block, *known)``.
    known
        What it has to know beside the block: picklable; ``fixed`` says what of it makes it another pass.
    fixed
        What fixes its result beside the case: JSON.
    """

    def __init__(
        self, stage: str, case: Case, function: Callable[..., Looked], known: tuple[Any, ...], fixed: object
    ) -> None:
        self.stage, self.case, self._function, self._known = stage, case, function, known
        about = [_FORMAT, stage, case.model, case.identity, case.dataset, case.snapshot, fixed]
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        self._store, self._key = Store(case.store), f"{_folder(case)}/{digest[:32]}.safetensors"
        self._rows: dict[int, Measured] = {}
        self._added: Measured | None = None

    def over(self, cluster: Cluster, these: list[Block]) -> Measured:
        """Look at all blocks, and return what was seen in their order."""
        sizes = [len(block.rows) for block in these]
        self._read(sizes)
        begun = written = time.monotonic()
        report = Reporter(self.stage, sum(sizes), self.case.dataset.partition("@")[0])
        left = (Asked(block, self._function, self._known) for block in these if block.number not in self._rows)
        seen = sum(len(block.rows) for block in these if block.number in self._rows)
        for done in stream(cluster, looked, left, window=cluster.window("train"), role="train"):
            self._add(done.item.block.number, done.receipt)
            seen += len(done.item.block.rows)
            now = time.monotonic()
            if now - begun > REPORT_FROM:
                report(seen)
            if now - written > KEEP_EVERY:
                self._write(sizes)
                written = now
        if written > begun:
            # For a stage that is killed after this pass, and before it is done.
            self._write(sizes)
        if self._added is None:
            return Measured()
        return Measured.join(self._rows[number] for number in sorted(self._rows)) | self._added

    def _add(self, number: int, found: Measured) -> None:
        """Keep what was seen of a block: rows in the order of the blocks, the rest added up."""
        self._rows[number] = Measured(found.rows, words=found.words)
        added = Measured(sums=found.sums, tallies=found.tallies)
        self._added = added if self._added is None else Measured.join([self._added, added])

    def _write(self, sizes: list[int]) -> None:
        arrays = {
            f"{number}/{name}": values
            for number, found in self._rows.items()
            for name, values in found.arrays().items()
        }
        assert self._added is not None
        arrays |= {f"added/{name}": values for name, values in self._added.arrays().items()}
        words = {str(number): dict(found.words) for number, found in self._rows.items()}
        self._store.write(self._key, pack(arrays, {"sizes": sizes, "words": words}))

    def _read(self, sizes: list[int]) -> None:
        """Go on from what a killed driver left, if that is of the same blocks: other workers have others."""
        if not self._store.exists(self._key):
            return
        try:
            arrays, header = unpack(self._store.read(self._key))
        except (StorageError, ValueError):
            # It was never needed: the pass begins anew.
            return
        if header.get("sizes") != sizes:
            return
        parts: dict[str, dict[str, np.ndarray]] = {}
        for name, values in arrays.items():
            part, _, rest = name.partition("/")
            parts.setdefault(part, {})[rest] = values
        self._added = Measured.of_arrays(parts.get("added", {}))
        words: Mapping[str, Mapping[str, str]] = header["words"]
        self._rows = {int(number): Measured.of_arrays(parts.get(number, {}), said) for number, said in words.items()}


def forget(case: Case) -> None:
    """Remove what passes over a case have kept: its stage is done."""
    store = Store(case.store)
    if store.list(_folder(case)):
        store.remove(_folder(case))


def _folder(case: Case) -> str:
    return f"measuring/{case.model.replace('@', '-')}"
