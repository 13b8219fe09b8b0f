"""What is kept of a training while it goes on and when it has ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ritz.compute.training.checkpoint import Corrupt, Outdated
from ritz.compute.training.surroundings import Surroundings
from ritz.storage import sealed
from ritz.storage.backends.bucket import Bucket
from ritz.storage.errors import Damaged, Refused
from ritz.storage.store import Store
from ritz.tasks.documents.records import run_lock
from ritz.tasks.training.lease_guard import Fence
from ritz.tasks.training.worker import kept, left
from tests.documents import training
from tests.storage.fields import in_both

KEY = run_lock("tiny")
SUMMARY = training(3).document()


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if getattr(request, "param", "folder") == "bucket":
        return Store(request.getfixturevalue("bucket"))
    return Store(tmp_path / "store")


def taken_over(store: Store) -> None:
    """Another driver has the lock now, and this one has not noticed."""
    text = json.dumps({"holder": "process 7 on elsewhere", "lease": 60, "token": "other"})
    if store.url.startswith("s3://"):
        bucket = Bucket(store.url)
        seen = bucket.state(KEY)
        assert seen is not None
        assert bucket.put_if(KEY, text.encode(), seen.etag)
    else:
        Path(store.location(KEY)).write_text("process 7 on elsewhere")


@in_both
def test_a_trainer_whose_driver_lost_its_lock_stops_writing(store: Store) -> None:
    def work(around: Surroundings) -> Any:
        around.save(b"one")
        taken_over(store)
        around.save(b"two")

    with store.lock(KEY, "the run"):
        fence = Fence.of(store, (run_lock("other"), KEY))
        assert fence is not None
        with pytest.raises(Refused, match=r"runs/\.tiny\.lock.*: process \d+ on .* does not hold this lock any more"):
            kept(store, "fit", work, Surroundings(), fence)
    assert store.read("fits/fit/checkpoint.safetensors") == b"one"


@in_both
def test_a_lock_that_was_given_back_is_nobodys(store: Store) -> None:
    with store.lock(KEY, "the run"):
        fence = Fence.of(store, (KEY,))
        assert fence is not None
        fence.check(store)
    with pytest.raises(Refused):
        fence.check(store)
    assert Fence.of(store, (KEY,)) is None


def test_a_damaged_checkpoint_is_named_by_its_path(store: Store) -> None:
    def work(around: Surroundings) -> Any:
        raise Corrupt(f"{len(around.load() or b'')} bytes; remove it to train anew")

    store.write("fits/fit/checkpoint.safetensors", b"abc")
    with pytest.raises(Damaged, match=r"fits/fit/checkpoint\.safetensors: 3 bytes; remove it to train anew"):
        kept(store, "fit", work, Surroundings())


def test_the_checkpoint_of_an_earlier_release_is_refused_with_its_path(store: Store) -> None:
    def work(_: Surroundings) -> Any:
        raise Outdated("written by an earlier release; remove it to train anew")

    with pytest.raises(Refused, match=r"fits/fit/checkpoint\.safetensors: written by an earlier release; remove it"):
        kept(store, "fit", work, Surroundings())


def test_what_a_training_left_is_checked_when_it_is_taken(store: Store) -> None:
    files = {"model.safetensors": b"weights", "history.json": b"{}"}
    sealed.write(store, "fits/fit", "summary.json", files, SUMMARY, new=False)
    assert (
        kept(store, "fit", lambda _: pytest.fail("it is finished"), Surroundings(), silent=True).document() == SUMMARY
    )
    assert left(store, "fit", files) == files
    for name in (*files, "summary.json", "seal.json"):
        path = Path(store.location(f"fits/fit/{name}"))
        whole = path.read_bytes()
        path.write_bytes(whole[:1] + bytes([whole[1] ^ 4]) + whole[2:])
        with pytest.raises(Damaged, match=str(path)):
            left(store, "fit", files)
        path.write_bytes(whole)


def test_a_training_that_was_killed_before_its_seal_goes_on(store: Store) -> None:
    class Resumed(Exception):
        pass

    def work(_: Surroundings) -> Any:
        raise Resumed

    sealed.write(store, "fits/fit", "summary.json", {"model.safetensors": b"weights"}, SUMMARY, new=False)
    Path(store.location("fits/fit/seal.json")).unlink()
    with pytest.raises(Resumed):
        kept(store, "fit", work, Surroundings())


def test_what_an_older_release_left_is_taken_as_it_is(store: Store) -> None:
    store.write("fits/fit/summary.json", json.dumps(SUMMARY).encode())
    store.write("fits/fit/model.safetensors", b"weights")
    assert (
        kept(store, "fit", lambda _: pytest.fail("it is finished"), Surroundings(), silent=True).document() == SUMMARY
    )
    assert left(store, "fit", ["model.safetensors"]) == {"model.safetensors": b"weights"}
