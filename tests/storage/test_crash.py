from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from storage import models
from storage.committer import Committer
from storage.datasets import Dataset, read
from storage.errors import Busy, Unknown
from tests.storage.fields import SHARD, definition, fields


def test_a_writer_killed_at_random_moments_leaves_whole_shards_only(store, start):
    shards = 40
    moments = random.Random(3)
    found: set[int] = set()
    for kill in range(8):
        process = start("fill", store.url, shards)
        # The first ones are killed while the dataset is created, the others while shards are written.
        said = process.stdout.readline()
        for _ in range(0 if kill < 2 else moments.randint(1, 5)):
            said += process.stdout.readline()
        time.sleep(moments.uniform(0.0, 0.3 if kill < 2 else 0.05))
        process.send_signal(signal.SIGKILL)
        said += process.communicate()[0]
        told = {int(line) for line in said.split()[1:]}
        try:
            dataset = Dataset.open(store, "made")
        except Unknown:
            # What was left of the creation does not count as a dataset.
            assert not told | found
            continue
        assert found | told <= dataset.committed()
        found = dataset.committed()
        head = read(store, "made@head", ("ok", "failed", "absent")).load()
        for shard in range(shards):
            samples = head.isel(sample=slice(shard * SHARD, (shard + 1) * SHARD))
            assert set(samples["status"].values) == {int(shard in found)}
            for name, values in fields(shard).items():
                np.testing.assert_array_equal(samples[name], values if shard in found else np.nan)
    assert 0 < len(found) < shards
    process = start("fill", store.url, shards)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert {int(line) for line in said.split()[1:]} == set(range(shards)) - found
    whole = read(store, "made")
    assert whole.sizes["sample"] == shards * SHARD
    np.testing.assert_array_equal(whole["u"], np.concatenate([fields(shard)["u"] for shard in range(shards)]))
    assert [version.version for version in Dataset.open(store, "made").versions()] == ["v1"]


def test_what_a_creation_left_that_was_killed_is_replaced(store):
    for leftover in ("snapshots/1CECHNKREP0F1RSTCMT0", "refs/branch.main/ref.json", "config.yaml"):
        store.write(f"datasets/.made.new/{leftover}", b"torn")
    with pytest.raises(Unknown):
        Dataset.open(store, "made")
    assert Committer.ensure(store, "made", **definition()).committed() == set()
    assert not Path(store.location("datasets/.made.new")).exists()


def test_what_a_saving_left_that_was_killed_is_replaced(store):
    store.write("models/net/.new/weights", b"torn")
    store.write("models/net/.new/other", b"torn")
    models.save(store, "net", {"weights": b"whole"}, {"identity": "one"})
    assert models.load(store, "net") == ({"weights": b"whole"}, {"identity": "one"})


def test_the_lock_is_refused_by_name_and_ends_with_its_holder(dataset, start):
    process = start("hold", dataset.store.url)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Busy, match=rf"dataset 'made' .* in use by process {process.pid} on "), dataset.lock():
        pass
    with pytest.raises(Busy, match=str(process.pid)):
        dataset.publish("now")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with dataset.lock():
        pass
