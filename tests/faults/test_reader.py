from __future__ import annotations

import subprocess
import sys
import threading
from datetime import timedelta

import numpy as np

from ritz.storage.committer import Committer
from ritz.storage.garbage import sweep
from ritz.storage.reading import read
from ritz.storage.store import Store
from tests.command import started
from tests.faults.conftest import ROOT
from tests.faults.writer import SHARDS, describe, fields, write
from tests.storage.fields import SHARD

WAYS = 4
"""Lines that a pass of `tests.faults.reader` says."""


def test_who_opened_a_version_reads_the_same_bytes_whatever_a_writer_does(tmp_path):
    store, told = Store(tmp_path / "store"), tmp_path / "told"
    dataset = Committer.ensure(store, "made", **describe())
    with dataset.lock():
        write(dataset, [5, 2], told)
        dataset.publish("two shards")
        # What a writer can do to a dataset; each is done while the reader reads.
        steps = {
            "commits": lambda: write(dataset, list(range(6, SHARDS)), told),
            "publishes": lambda: dataset.publish("more"),
            "commits the rest": lambda: write(dataset, [0, 1, 3, 4], told),
            "publishes again": lambda: dataset.publish("all"),
            "grows": lambda: dataset.grow(np.arange(2 * SHARD), np.array(["train"] * 2 * SHARD), {"grown": True}),
            "commits what is new": lambda: write(dataset, [SHARDS, SHARDS + 1], told),
            "publishes the grown": lambda: dataset.publish("grown"),
            "sweeps": lambda: sweep(dataset, frozenset(), timedelta(0), delete=True),
        }
        reader = [sys.executable, "-m", "tests.faults.reader", store.url, "made@v1"]
        with started(*reader, cwd=ROOT, stdin=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            lines = process.stdout
            first = [lines.readline().split(maxsplit=2) for _ in range(WAYS)]
            seen = dict.fromkeys(steps, 0)
            for step, work in steps.items():
                thread = threading.Thread(target=work)
                thread.start()
                # A pass that began before the step ended, and one that began after it.
                while thread.is_alive() or seen[step] < 2 * WAYS:
                    *found, way = lines.readline().split(maxsplit=2)
                    assert found == first[0][:2], (step, way)
                    seen[step] += 1
                thread.join()
            process.stdin.close()
            process.stdin = None
            _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert {tuple(line[:2]) for line in first} == {tuple(first[0][:2])}
    held = {"v1": [2, 5], "v2": [2, *range(5, SHARDS)], "v3": range(SHARDS), "v4": range(SHARDS + 2)}
    assert [version.samples for version in dataset.versions()] == [len(shards) * SHARD for shards in held.values()]
    order = [5, 2, *range(6, SHARDS), 0, 1, 3, 4, SHARDS, SHARDS + 1]
    assert (tmp_path / "told").read_text().split() == [str(shard) for shard in order]
    for version, shards in held.items():
        stored = read(store, f"made@{version}")
        np.testing.assert_array_equal(stored["u"], np.concatenate([fields(shard)["u"] for shard in shards]))
