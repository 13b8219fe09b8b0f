from __future__ import annotations

import json
import threading
import time

import icechunk
import numpy as np
import pytest

from ritz.storage import committer as committing
from ritz.storage.backends import lease
from ritz.storage.backends.bucket import Bucket
from ritz.storage.committer import Committer
from ritz.storage.errors import Busy, Refused, StorageError
from ritz.storage.shards import write_shard
from ritz.storage.store import Store
from tests.storage.fields import SHARD, definition, fields, in_both, ledger, stored

KEY = "datasets/.made.lock"


@pytest.fixture
def store(bucket):
    return Store(bucket)


def bucket(store):
    return Bucket(store.url)


def taken_over(store):
    """What the lock looks like when another process has taken it."""
    seen = bucket(store).state(KEY)
    text = json.dumps({"holder": "process 7 on elsewhere", "lease": 60, "token": "other"}).encode()
    assert bucket(store).put_if(KEY, text, seen.etag)
    return text


def test_it_says_who_holds_it_and_is_left_empty(store):
    with store.lock(KEY, "it"):
        text = json.loads(bucket(store).state(KEY).data)
        assert text["lease"] == lease.LEASE
        with pytest.raises(Busy, match=f"it is in use by {text['holder']}; .* free within 30 s"), store.lock(KEY, "it"):
            pass
    assert bucket(store).state(KEY).data == b""


def test_a_holder_that_lives_keeps_it_beyond_its_lease_and_a_killed_one_loses_it(store, start):
    dataset = Committer.ensure(store, "made", **definition())
    # Its lease is a second.
    process = start("hold", store.url)
    assert process.stdout.readline() == "held\n"
    deadline = time.monotonic() + 3.5
    while time.monotonic() < deadline:
        with pytest.raises(Busy, match=f"process {process.pid} on "), dataset.lock():
            pass
        time.sleep(0.2)
    process.kill()
    process.wait()
    fill_with(dataset, wait=10)


def fill_with(dataset, wait):
    with dataset.lock(wait):
        assert dataset.commit({0: (write_shard(dataset.fork(), 0, fields(0), ledger(0)), ledger(0))})


def test_of_many_that_find_it_stale_one_gets_it(store):
    # Stale from its beginning.
    bucket(store).put_if(KEY, json.dumps({"holder": "nobody", "lease": -5}).encode(), None)
    ready, done = threading.Barrier(6), threading.Barrier(6)
    got = []

    def contend():
        ready.wait()
        try:
            with store.lock(KEY, "it"):
                got.append("it")
                done.wait()
        except Busy as error:
            got.append(str(error))
            done.wait()

    threads = [threading.Thread(target=contend) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got.count("it") == 1
    assert sum("is in use by process" in said for said in got) == 5


def test_a_lease_that_ran_out_while_nobody_wanted_it_goes_on(store):
    with store.lock(KEY, "it"):
        lease._held[store.location(KEY)]._until = 0.0
        assert store.holds(KEY)
        with pytest.raises(Busy), store.lock(KEY, "it"):
            pass
    assert not store.holds(KEY)


def test_a_renewal_whose_answer_was_lost_is_known_again(store):
    with store.lock(KEY, "it"):
        seen = bucket(store).state(KEY)
        assert bucket(store).put_if(KEY, seen.data.replace(b'"renewals": 1', b'"renewals": 2'), seen.etag)
        lease._held[store.location(KEY)]._until = 0.0
        assert store.holds(KEY)
    assert bucket(store).state(KEY).data == b""


def test_who_lost_it_commits_no_more_and_leaves_it_to_the_other(store, caplog):
    dataset = Committer.ensure(store, "made", **definition())
    written = write_shard(dataset.fork(), 0, fields(0), ledger(0))
    with dataset.lock():
        text = taken_over(store)
        lease._held[store.location(KEY)]._until = 0.0
        with pytest.raises(Refused, match="one process commits"):
            dataset.commit({0: (written, ledger(0))})
        with pytest.raises(Busy, match="process 7 on elsewhere"):
            dataset.publish("all")
        assert "dataset 'made' in s3://" in caplog.text
        assert "another process took the lock over" in caplog.text
    assert bucket(store).state(KEY).data == text
    assert dataset.committed() == set()


def test_a_renewal_that_finds_it_taken_says_so(store, caplog, monkeypatch):
    monkeypatch.setattr(lease, "LEASE", 0.3)
    with store.lock(KEY, "it"):
        taken_over(store)
        deadline = time.monotonic() + 20
        while "took the lock over" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.02)
        monkeypatch.undo()
        assert not store.holds(KEY)


@in_both
def test_of_two_that_both_think_they_hold_it_one_commits(store, monkeypatch):
    one = Committer.ensure(store, "made", **definition())
    other = Committer.open(store, "made")
    late = {name: values + 1 for name, values in fields(0).items()}
    written = write_shard(one.fork(), 0, late, ledger(0))
    check = committing.check_changes

    def meanwhile(*arguments):
        monkeypatch.setattr(committing, "check_changes", check)
        fork = other.fork()
        assert other.commit({0: (write_shard(fork, 0, fields(0), ledger(0)), ledger(0))})
        return check(*arguments)

    monkeypatch.setattr(Committer, "_locked", True)
    monkeypatch.setattr(committing, "check_changes", meanwhile)
    with pytest.raises(Refused, match="made: another process committed first, nothing was changed"):
        one.commit({0: (written, ledger(0))})
    np.testing.assert_array_equal(stored(one, 0), fields(0)["u"])
    assert one.commit({0: (written, ledger(0))}) == set()


@pytest.mark.parametrize("what", ["commit", "publish", "grow"])
def test_the_rightful_holder_goes_on_from_what_another_committed_meanwhile(store, monkeypatch, caplog, what):
    one = Committer.ensure(store, "made", **definition())
    other = Committer.open(store, "made")
    written = {shard: (write_shard(one.fork(), shard, fields(shard), ledger(shard)), ledger(shard)) for shard in (0, 1)}
    theirs = {0: (write_shard(other.fork(), 0, fields(0), ledger(0)), ledger(0))}
    commit = icechunk.Session.commit

    def overtaken(session, *arguments):
        monkeypatch.setattr(icechunk.Session, "commit", commit)
        with monkeypatch.context() as patch:
            patch.setattr(Committer, "_locked", True)
            assert other.commit(theirs) == {0}
        return commit(session, *arguments)

    with one.lock():
        if what != "commit":
            one.commit({1: written[1]})
        monkeypatch.setattr(icechunk.Session, "commit", overtaken)
        if what == "commit":
            assert one.commit(written) == {1}
        elif what == "publish":
            assert one.publish("all").samples == 2 * SHARD
        else:
            one.grow(np.arange(5000, 5000 + SHARD), np.full(SHARD, "train"), {})
        assert "a process without the lock committed; going on from there" in caplog.text
        assert one.committed() == {0, 1}
    np.testing.assert_array_equal(stored(one, 0), fields(0)["u"])


@pytest.mark.parametrize("text", [b"text", b"[]", b"{}", b"[" * 100000])
def test_what_is_no_lock_is_named(store, text):
    store.write(KEY, text)
    with pytest.raises(StorageError, match=r"\.made\.lock: is no lock; remove it"), store.lock(KEY, "it"):
        pass


def test_two_that_save_one_version_do_not_mix(store, monkeypatch):
    from ritz.storage import models

    write = Store.write

    def overtaken(self, key, data, *, new=False):
        if key.endswith("/b"):
            monkeypatch.setattr(Store, "write", write)
            # Its lock was lost; another process saves in the meantime.
            self.remove("models/net/v1")
            for file, text in (("a", b"theirs"), ("b", b"theirs"), ("card.json", b'{"identity": "two"}')):
                self.write(f"models/net/v1/{file}", text, new=True)
        write(self, key, data, new=new)

    monkeypatch.setattr(Store, "write", overtaken)
    with pytest.raises(StorageError, match="v1/b: it exists already"):
        models.save(store, "net", {"a": b"ours", "b": b"ours"}, {"identity": "one"})
    assert models.load(store, "net") == ({"a": b"theirs", "b": b"theirs"}, {"identity": "two"})
