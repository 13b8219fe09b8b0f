"""A dataset against a model of it in memory: any sequence of what drivers, workers, readers and keepers do."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.errors import Refused, StorageError
from ritz.storage.garbage import sweep
from ritz.storage.reading import read
from ritz.storage.shards import Fork, write_shard
from ritz.storage.store import Store
from tests.storage.fields import RTOL, SHARD, ledger, template

EVERYTHING = ("ok", "failed", "absent")
SPLITS = np.array(["train", "validate", "calibrate", "test"])


def values(shard: int) -> dict[str, np.ndarray]:
    """Fields of a shard, too random to be compressed into a manifest."""
    random = np.random.default_rng(shard)
    return {name: random.standard_normal((SHARD, 8, 8)).astype(np.float32) for name in ("a", "u")}


def ids(shards: range) -> np.ndarray:
    """Ids of samples, not in the order of their positions."""
    return np.arange(shards.start * SHARD, shards.stop * SHARD)[::-1] + 100


class DatasetMachine(RuleBasedStateMachine):
    """The model: how many shards are planned, which are committed, what each version and each reader has.

    Forks and receipts are (what they are, shard or shards, collections of garbage before them): a collection takes
    the lock, so that no driver lives to whom those from before could come.
    """

    forks = Bundle("forks")
    written = Bundle("written")

    @initialize(shards=st.integers(1, 4))
    def create(self, shards: int) -> None:
        self.folder = tempfile.mkdtemp(prefix="ritz-model-")
        self.store = Store(self.folder)
        self.open = ExitStack()
        self.order = [ids(range(shards))]
        self.committed: set[int] = set()
        self.versions: list[tuple[int, frozenset[int]]] = []
        self.readers: list[tuple[xr.Dataset, int, frozenset[int]]] = []
        self.collections = 0
        self.dataset = Committer.ensure(
            self.store,
            "made",
            template(shards * SHARD),
            identity="one",
            recipe={},
            sample_id=self.order[0],
            split=SPLITS[self.order[0] % 4],
            shard=SHARD,
            solvers=("direct", "recycled"),
            attrs={"rtol": RTOL},
        )
        self.open.enter_context(self.dataset.lock())

    @property
    def shards(self) -> int:
        return sum(map(len, self.order)) // SHARD

    @rule(target=forks)
    def fork(self) -> tuple[Fork, int, int]:
        return self.dataset.fork(), self.shards, self.collections

    @rule(target=written, fork=forks, data=st.data())
    def write(self, fork: tuple[Fork, int, int], data: Any) -> Any:
        session, shards, collections = fork
        if collections < self.collections:
            return multiple()
        shard = data.draw(st.integers(0, shards - 1))
        return write_shard(session, shard, values(shard), ledger(shard)), shard, collections

    @rule(receipts=st.lists(written, min_size=1, max_size=4))
    def commit(self, receipts: list[tuple[Fork, int, int]]) -> None:
        shards = {
            shard: (written, ledger(shard))
            for written, shard, collections in receipts
            if collections == self.collections
        }
        assert self.dataset.commit(shards) == set(shards) - self.committed
        self.committed |= set(shards)

    @rule(fork=forks)
    def commit_what_was_not_written(self, fork: tuple[Fork, int, int]) -> None:
        missing = set(range(self.shards)) - self.committed
        if missing:
            with pytest.raises(Refused):
                self.dataset.commit({min(missing): (fork[0], ledger(0))})

    @rule(receipt=consumes(written))
    def lose(self, receipt: tuple[Fork, int, int]) -> None:
        """A worker that dies before its receipt arrives."""

    @rule()
    def crash(self) -> None:
        """A driver that dies, and the next one; forks from before may still be under way."""
        self.open.close()
        self.open = ExitStack()
        self.dataset = Committer.open(self.store, "made")
        self.open.enter_context(self.dataset.lock())

    @precondition(lambda self: self.shards < 9)
    @rule(more=st.integers(1, 3))
    def grow(self, more: int) -> None:
        new = ids(range(self.shards, self.shards + more))
        self.dataset.grow(new, SPLITS[new % 4], {"shards": self.shards + more})
        self.order.append(new)

    @rule()
    def grow_by_what_is_there(self) -> None:
        with pytest.raises(StorageError, match="in the dataset already"):
            self.dataset.grow(self.order[0][:SHARD], SPLITS[[0] * SHARD], {})

    @rule()
    def tag(self) -> None:
        if not self.committed:
            with pytest.raises(Refused):
                self.dataset.publish("nothing")
            return
        known = len(self.versions)
        version = self.dataset.publish("now")
        state = (self.shards, frozenset(self.committed))
        # Without a commit in between it is the version that there is.
        if not (known and version.version == f"v{known}"):
            self.versions.append(state)
        assert (version.version, version.samples) == (f"v{len(self.versions)}", len(self.committed) * SHARD)
        assert self.versions[-1] == state

    @precondition(lambda self: self.versions)
    @rule(data=st.data())
    def read_version(self, data: Any) -> None:
        number = data.draw(st.integers(1, len(self.versions)))
        self.readers = [
            *self.readers[-2:],
            (read(self.store, f"made@v{number}", EVERYTHING), *self.versions[number - 1]),
        ]

    @rule(delete=st.booleans())
    def collect(self, delete: bool) -> None:
        sweep(self.dataset, frozenset(), timedelta(0), delete)
        if delete:
            self.crash()
            self.collections += 1

    @invariant()
    def the_dataset_is_what_the_model_says(self) -> None:
        if not hasattr(self, "dataset"):
            return
        seen = Dataset.open(self.store, "made")
        assert seen.committed() == self.committed
        assert seen.samples == self.shards * SHARD
        np.testing.assert_array_equal(seen.index()[0], np.concatenate(self.order))
        assert seen.progress() == {
            "done": len(self.committed) * SHARD,
            "failed": 0,
            "to_go": (self.shards - len(self.committed)) * SHARD,
        }
        assert [version.samples for version in seen.versions()] == [len(held) * SHARD for _, held in self.versions]

    @invariant()
    def readers_see_what_they_opened(self) -> None:
        for data, shards, committed in getattr(self, "readers", []):
            assert data.sizes["sample"] == shards * SHARD
            for shard in range(shards):
                part = data.isel(sample=slice(shard * SHARD, (shard + 1) * SHARD))
                if shard in committed:
                    for name, expected in values(shard).items():
                        np.testing.assert_array_equal(part[name].values, expected)
                else:
                    assert np.isnan(part["u"].values).all()
                    assert not part["status"].values.any()

    def teardown(self) -> None:
        if hasattr(self, "open"):
            self.open.close()
            shutil.rmtree(self.folder)


DatasetMachine.TestCase.settings = settings(
    max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
test_any_history_of_a_dataset_is_that_of_the_model = DatasetMachine.TestCase
