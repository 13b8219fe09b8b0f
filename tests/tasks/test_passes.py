"""Passes over a split, a block of samples at a time."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.evaluation.measured import Measured
from ritz.compute.uncertainty.catalogue import uncertainty
from ritz.storage.store import Store
from ritz.tasks.measuring import calibration_worker, passes
from ritz.tasks.measuring.case import case_of
from ritz.tasks.measuring.passes import Pass, blocks
from ritz.tasks.measuring.split_fields import of_split
from ritz.tasks.measuring.worker import Block, Case, Looked
from tests.tasks.test_predict import TinyStore

CASE = Case("", "model@v1", "data@v1", "one", "two")


def data(samples: int, points: int) -> xr.Dataset:
    split = np.array(["train", "test", "calibrate", "test"])[np.arange(samples) % 4]
    fields = np.zeros((samples, points), np.float32)
    return xr.Dataset(
        {"a": (("sample", "x"), fields, {"role": "input"}), "u": (("sample", "x"), fields, {"role": "output"})},
        {"split": ("sample", split)},
    )


@pytest.mark.parametrize(("samples", "workers"), [(4, 1), (400, 1), (2000, 2), (2000, 16)])
def test_blocks_are_whole_batches_of_all_samples_of_a_split(samples: int, workers: int) -> None:
    these = blocks(CASE, data(samples, 8), "test", workers)
    rows = np.concatenate([block.rows for block in these])
    np.testing.assert_array_equal(rows, np.arange(1, samples, 2))
    assert [block.number for block in these] == list(range(len(these)))
    assert all(len(block.rows) % passes.BATCH == 0 for block in these[:-1])
    assert len(these) <= 4 * workers


def test_blocks_of_large_fields_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "BLOCK_BYTES", 10 * 2 * 4 * 100)
    assert {len(block.rows) for block in blocks(CASE, data(400, 100), "test", 2)} == {10}
    monkeypatch.setattr(passes, "BLOCK_BYTES", 1)
    assert {len(block.rows) for block in blocks(CASE, data(40, 100), "test", 2)} == {1}


def test_a_part_of_a_split_is_taken_by_chance_and_always_the_same_one() -> None:
    whole, few = of_split(data(400, 1), "test"), of_split(data(400, 1), "test", 20)
    assert len(few) == len(set(few)) == 20
    assert set(few) < set(whole)
    assert np.all(np.diff(few) > 0)
    # Neighbours are alike, so the first ones would not do.
    assert few[-1] > 200
    np.testing.assert_array_equal(few, of_split(data(400, 1), "test", 20))
    with pytest.raises(ValueError, match="split 'validate' of this dataset is empty"):
        of_split(data(400, 1), "validate")


@pytest.fixture(scope="module")
def case(tiny_store: TinyStore) -> tuple[Case, xr.Dataset]:
    return case_of(str(tiny_store[0]), "tiny@v1", "tiny@v1")


class Killed(Exception):
    pass


def test_a_pass_goes_on_with_the_blocks_that_were_not_seen(
    case: tuple[Case, xr.Dataset], measuring: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, stored = case
    method = uncertainty({"kind": "conformal", "levels": [0.5], "spread": "learnt"})
    learnt = calibration_worker.learn(known, method)
    these = [Block(known, number, rows[None]) for number, rows in enumerate(of_split(stored, "test"))]
    asked: list[int] = []

    def passing() -> Pass:
        return Pass("calibrate", known, calibration_worker.score, (learnt.scoring,), "x")

    whole = passing().over(measuring, these)
    monkeypatch.setattr(passes, "KEEP_EVERY", 0.0)
    usual = passes.stream

    def noted(cluster: Cluster, function: Any, items: Any, **options: Any) -> Iterator[Any]:
        for done in usual(cluster, function, items, **options):
            asked.append(done.item.block.number)
            yield done
            if len(asked) == 3:
                raise Killed

    monkeypatch.setattr(passes, "stream", noted)
    with pytest.raises(Killed):
        passing().over(measuring, these)
    store = Store(known.store)
    assert len(store.list("measuring/tiny-v1")) == 1
    first = list(asked)
    again = passing().over(measuring, these)
    assert sorted(asked) == list(range(len(these)))
    assert len(asked) == len(these) > len(first) == 3
    for name, rows in whole.rows.items():
        np.testing.assert_array_equal(again.rows[name], rows)
    passes.forget(known)
    assert store.list("measuring/tiny-v1") == []


def _count(block: Block) -> Looked:
    return Looked(Measured({"rows": block.rows}, {"count": np.array(len(block.rows))}))


def test_a_pass_over_other_blocks_begins_anew(
    case: tuple[Case, xr.Dataset], measuring: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another number of workers the same samples lie in other blocks."""
    known, stored = case
    rows = of_split(stored, "test")
    ones, twos = ([Block(known, at, rows[at * n : at * n + n]) for at in range(len(rows) // n)] for n in (1, 2))
    monkeypatch.setattr(passes, "KEEP_EVERY", 0.0)
    usual = passes.stream

    def killed(*asked: Any, **options: Any) -> Iterator[Any]:
        for number, done in enumerate(usual(*asked, **options)):
            if number == 3:
                raise Killed
            yield done

    with monkeypatch.context() as patched:
        patched.setattr(passes, "stream", killed)
        with pytest.raises(Killed):
            Pass("count", known, _count, (), "blocks").over(measuring, ones)
    assert len(Store(known.store).list("measuring/tiny-v1")) == 1
    found = Pass("count", known, _count, (), "blocks").over(measuring, twos)
    np.testing.assert_array_equal(found.rows["rows"], rows)
    assert found.sums["count"] == len(rows)


@pytest.mark.parametrize("left", [b"no such file", b""])
def test_what_cannot_be_read_is_seen_anew(left: bytes, case: tuple[Case, xr.Dataset], measuring: Cluster) -> None:
    known, stored = case
    asked = Pass("count", known, _count, (), None)
    Store(known.store).write(asked._key, left)
    found = asked.over(measuring, blocks(known, stored, "test", 1))
    np.testing.assert_array_equal(found.rows["rows"], of_split(stored, "test"))
    assert found.sums["count"] == len(of_split(stored, "test"))


def test_a_worker_loads_no_prefect_for_a_block(
    case: tuple[Case, xr.Dataset], measuring: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []

    def kept(_: Cluster, function: Any, items: Any, **__: Any) -> Iterator[Any]:
        sent.append(pickle.dumps((function, list(items))))
        return iter(())

    monkeypatch.setattr(passes, "stream", kept)
    known, stored = case
    Pass("calibrate", known, calibration_worker.score, (None,), "y").over(measuring, blocks(known, stored, "test", 1))
    received = "import pickle, sys; pickle.load(sys.stdin.buffer); print('prefect' in sys.modules)"
    worker = subprocess.run([sys.executable, "-c", received], input=sent[0], capture_output=True, check=True)
    assert worker.stdout == b"False\n"
