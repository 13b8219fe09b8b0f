from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ritz.storage.backends import lock
from ritz.storage.errors import Busy, StorageError
from tests.storage.fields import in_both
from tests.storage.holder import held


@in_both
def test_a_second_holder_in_the_same_process_is_refused(store):
    with store.lock("a.lock", "it"):
        assert store.holds("a.lock")
        with pytest.raises(Busy, match=f"it is in use by process {os.getpid()} on "), store.lock("a.lock", "it"):
            pass
        with store.lock("b.lock", "the other"):
            pass
    assert not store.holds("a.lock")
    with store.lock("a.lock", "it"):
        pass


@in_both
def test_it_is_released_when_the_block_fails(store):
    with pytest.raises(KeyError), store.lock("a.lock", "it"):
        raise KeyError
    with store.lock("a.lock", "it"):
        pass


@in_both
def test_one_that_waits_gets_it(store):
    with held(store, "a.lock") as release:
        threading.Timer(0.2, release.set).start()
        with store.lock("a.lock", "it", wait=30):
            assert release.is_set()


def test_a_program_started_meanwhile_does_not_keep_it(store):
    with store.lock("a.lock", "it"):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    try:
        with store.lock("a.lock", "it"):
            pass
    finally:
        child.communicate(b"\n")


@in_both
def test_a_forked_child_neither_holds_nor_keeps_it(store):
    # In a process of its own: forking one that has threads is what Python warns of.
    code = f"""
import os, signal, sys, time
from ritz.storage.store import Store
from ritz.storage.backends import lock
store = Store({store.url!r})
with store.lock("a.lock", "it"):
    child = os.fork()
    if not child:
        os._exit(0 if not store.holds("a.lock") and time.sleep(0.5) is None else 1)
    inner = os.fork()
    if not inner:
        time.sleep(30)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
with store.lock("a.lock", "it"):
    pass
os.kill(inner, signal.SIGKILL)
os.waitpid(inner, 0)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_lock_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match=r"file/a\.lock cannot be written"),
        lock.locked(str(tmp_path / "file" / "a.lock"), "it"),
    ):
        pass


def test_the_lock_of_a_dataset_that_is_gone_is_not_made_anew(dataset, tmp_path):
    place = Path(dataset.store.location("datasets"))
    place.rename(tmp_path / "away")
    # As a disk that was taken away leaves it: the folder on which it was mounted is there, and empty.
    with pytest.raises(StorageError, match="datasets/made is gone"), dataset.lock():
        pass
    assert not place.exists()
    (tmp_path / "away").rename(place)
    with dataset.lock():
        pass
