from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from ritz.storage.committer import Committer
from ritz.storage.errors import StorageError, Unknown
from ritz.storage.loading import ShardStream, StoredSamples, _Pool, _threads
from ritz.storage.selection import Selection
from ritz.storage.shards import write_shard
from ritz.storage.store import Store
from tests.storage.fields import SHARD, definition, fields, fill_with_failures, ledger, with_a_flipped_byte

SHARDS = 40
N = SHARDS * SHARD
FAILED = {3: 0, 17: 2, 39: 1}
IDS = definition(N)["sample_id"]
SPLIT = definition(N)["split"]
BAD = np.isin(np.arange(N), [shard * SHARD + row for shard, row in FAILED.items()])
TRAIN = IDS[(SPLIT == "train") & ~BAD]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """40 shards of 4 samples, published; the splits are mixed in every shard."""
    made = Store(tmp_path_factory.mktemp("loading"))
    dataset = Committer.ensure(made, "made", **definition(N))
    fill_with_failures(dataset, FAILED)
    dataset.publish("all")
    return made


def expected(sample_id: int) -> dict[str, np.ndarray]:
    shard, row = divmod(int(np.flatnonzero(sample_id == IDS)[0]), SHARD)
    return {name: values[row] for name, values in fields(shard).items()}


def drawn(stream) -> np.ndarray:
    return np.concatenate([np.atleast_1d(batch["sample_id"]) for batch in stream])


@pytest.mark.parametrize("batch_size", [None, 1, 7, 64, 1000])
def test_an_epoch_has_every_sample_once_with_its_own_values(store, batch_size):
    batches = list(ShardStream(Selection(store, "made@v1"), batch_size=batch_size))
    if batch_size is None:
        assert batches[0]["u"].shape == (8, 8)
        batches = [{name: values[None] for name, values in one.items()} for one in batches]
    else:
        sizes = [len(batch["u"]) for batch in batches]
        assert set(sizes[:-1]) <= {batch_size}
        assert sum(sizes) == len(TRAIN)
    assert sorted(drawn(batches)) == sorted(TRAIN)
    assert {(batch["u"].dtype, batch["sample_id"].dtype) for batch in batches} == {(torch.float32, torch.int64)}
    for batch in batches:
        for row, sample_id in enumerate(batch["sample_id"].tolist()):
            for name, values in expected(sample_id).items():
                np.testing.assert_array_equal(batch[name][row], values)


def test_the_order_is_that_of_the_seed_and_the_epoch(store):
    chosen = Selection(store, "made@v1")
    stream = ShardStream(chosen, batch_size=8, seed=3)
    first, again = drawn(stream), drawn(ShardStream(chosen, batch_size=8, seed=3, threads=5))
    np.testing.assert_array_equal(first, again)
    stream.set_epoch(1)
    second = drawn(stream)
    assert (first != second).mean() > 0.9
    assert (first != drawn(ShardStream(chosen, batch_size=8, seed=4))).mean() > 0.9
    stream.set_epoch(0)
    np.testing.assert_array_equal(drawn(stream), first)
    assert sorted(second) == sorted(first)


@pytest.mark.parametrize(("window", "least"), [(8, 8), (16, 14)])
def test_at_least_the_shards_of_the_window_are_mixed(store, window, least):
    """In any run of samples as long as the window, as many shards or nearly so are met."""
    shard_of = dict(zip(IDS.tolist(), (np.arange(N) // SHARD).tolist(), strict=True))
    spreads = []
    for seed in range(5):
        order = [shard_of[one] for one in drawn(ShardStream(Selection(store, "made@v1"), seed=seed, window=window))]
        length = window * 2
        spreads += [len(set(order[begin : begin + length])) for begin in range(0, len(order) - length, length)]
        # A reader that went through the shards one by one would have many neighbours of one shard.
        assert np.mean(np.diff(order) == 0) < 2 / window
    assert np.mean(spreads) >= least


def test_shards_come_in_random_order(store):
    position = dict(zip(IDS.tolist(), range(N), strict=True))
    order = np.array([position[one] for one in drawn(ShardStream(Selection(store, "made@v1")))])
    assert abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 0.4


def test_splits_and_statuses_are_respected(store):
    assert set(drawn(ShardStream(Selection(store, "made@v1", splits=("test", "validate"))))) == set(
        IDS[np.isin(SPLIT, ["test", "validate"]) & ~BAD]
    )
    everything = Selection(store, "made@v1", splits=None, statuses=("ok", "failed"))
    assert sorted(drawn(ShardStream(everything))) == sorted(IDS)
    failed = list(ShardStream(Selection(store, "made@v1", splits=None, statuses=("failed",))))
    assert sorted(drawn(failed)) == sorted(IDS[BAD])
    assert all(batch["u"].isnan().all() and batch["a"].isfinite().all() for batch in failed)


def test_some_fields_alone(store):
    (batch,) = ShardStream(Selection(store, "made@v1", fields=("u",)), batch_size=1000)
    assert set(batch) == {"u", "sample_id"}


def test_single_samples_are_those_stored(store):
    samples = StoredSamples(Selection(store, "made@v1"))
    assert len(samples) == len(TRAIN)
    for place in (0, 5, -1):
        found = samples[place]
        assert found["sample_id"].item() == TRAIN[place]
        for name, values in expected(TRAIN[place]).items():
            np.testing.assert_array_equal(found[name], values)
    stream = ShardStream(Selection(store, "made@v1", splits=("calibrate",)))
    wanted = int(IDS[SPLIT == "calibrate"][4])
    np.testing.assert_array_equal(stream.sample(wanted)["u"], expected(wanted)["u"])
    with pytest.raises(Unknown, match=rf"sample {TRAIN[0]} of 'made@v1' is not among the 32 selected"):
        stream.sample(int(TRAIN[0]))
    with pytest.raises(IndexError, match=f"sample {len(TRAIN)}: expected one of"):
        samples[len(TRAIN)]


def test_a_loader_over_single_samples_collates_them(store):
    loader = DataLoader(StoredSamples(Selection(store, "made@v1")), batch_size=10, shuffle=True)
    batches = list(loader)
    assert batches[0]["u"].shape == (10, 8, 8)
    assert sorted(drawn(batches)) == sorted(TRAIN)


def test_workers_share_the_shards(store):
    """Two processes: every sample once, the same order again, shards of both in turn."""
    stream = ShardStream(Selection(store, "made@v1"), batch_size=8, seed=1)
    loader = DataLoader(stream, batch_size=None, num_workers=2, multiprocessing_context="forkserver")
    first = list(loader)
    assert sorted(drawn(first)) == sorted(TRAIN)
    for batch in first:
        for row, sample_id in enumerate(batch["sample_id"].tolist()):
            np.testing.assert_array_equal(batch["u"][row], expected(sample_id)["u"])
    np.testing.assert_array_equal(drawn(loader), drawn(first))


def test_a_forked_process_is_refused_instead_of_waiting_for_ever(store):
    stream = ShardStream(Selection(store, "made@v1"))
    loader = DataLoader(stream, batch_size=None, num_workers=1, multiprocessing_context="fork")
    with pytest.raises(StorageError, match="multiprocessing_context='forkserver'"):
        next(iter(loader))


def test_the_version_is_settled_when_the_selection_is_made(tmp_path):
    store = Store(tmp_path)
    dataset = Committer.ensure(store, "made", **definition(N))
    with dataset.lock():
        fork = dataset.fork()
        for shard in range(SHARDS // 2):
            dataset.commit({shard: (write_shard(fork, shard, fields(shard), ledger(shard)), ledger(shard))})
        dataset.publish("half")
        chosen = Selection(store, "made@latest")
        stream = iter(ShardStream(chosen, batch_size=4))
        ids = [next(stream)["sample_id"]]
        for shard in range(SHARDS // 2, SHARDS):
            dataset.commit({shard: (write_shard(fork, shard, fields(shard), ledger(shard)), ledger(shard))})
        dataset.publish("all")
    ids += [batch["sample_id"] for batch in stream]
    half = np.arange(N) < N // 2
    assert sorted(np.concatenate(ids)) == sorted(IDS[half & (SPLIT == "train")])
    assert chosen.version.version == "v1"
    copy = pickle.loads(pickle.dumps(ShardStream(chosen, batch_size=4)))
    assert sorted(drawn(copy)) == sorted(np.concatenate(ids))
    assert len(Selection(store, "made@latest")) == (SPLIT == "train").sum()


def test_a_stream_that_is_left_ends_its_threads(store):
    import threading

    stream = iter(ShardStream(Selection(store, "made@v1"), batch_size=4))
    next(stream)
    assert any(thread.name.startswith("shards") for thread in threading.enumerate())
    stream.close()  # type: ignore[attr-defined]
    assert not any(thread.name.startswith("shards") for thread in threading.enumerate())


def test_memory_is_that_of_the_window(store):
    """2 of the 4 samples of a shard are wanted at most: 8 shards, 2 that are read, one that comes on top, 2 batches."""
    chosen = Selection(store, "made@v1")
    with _threads(2) as threads:
        pool = _Pool(chosen, chosen.by_shard(), 8, 6, 2, threads)
        assert {len(values) for values in pool.arrays.values()} == {2 * (8 + 2 + 1) + 2 * 6}
        rng = np.random.default_rng(0)
        while pool.fill():
            pool.draw(6, rng)
        assert sorted(pool.free) == list(range(34))


def test_a_flipped_byte_is_named_and_ends_the_stream(tmp_path):
    store = Store(tmp_path)
    with_a_flipped_byte(Committer.ensure(store, "made", **definition(N)), 20)
    with pytest.raises(StorageError, match=r"field 'u', position 8[0-3]: .* checksum"):
        drawn(ShardStream(Selection(store, "made@v1", splits=None)))
    with pytest.raises(StorageError, match=r"field 'u', position 8[0-3]"):
        [StoredSamples(Selection(store, "made@v1", splits=None))[place] for place in range(80, 84)]


def test_what_does_not_exist_is_refused_by_name(store):
    with pytest.raises(StorageError, match=r"splits \('tests',\).*calibrate"):
        Selection(store, "made", splits=("tests",))
    with pytest.raises(StorageError, match=r"splits 'train': expected some of .* as in"):
        Selection(store, "made", splits="train")
    with pytest.raises(StorageError, match=r"statuses \('good',\)"):
        Selection(store, "made", statuses=("good",))
    with pytest.raises(StorageError, match=r"fields \['p'\]: expected some of \['a', 'u'\]"):
        Selection(store, "made", fields=("p",))
    with pytest.raises(StorageError, match="window is 4: expected at least 8"):
        ShardStream(Selection(store, "made"), window=4)
    with pytest.raises(StorageError, match="no sample of 'made@v1' is selected"):
        ShardStream(Selection(store, "made", splits=("steer",)))


def test_only_the_module_itself_loads_torch():
    code = (
        "import sys, ritz.storage.selection, ritz.storage.export, ritz.storage.committer; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "False"
