from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from ritz.flows.serving.claims import claimed, folder, given_up, held, hold, known, settle

HOLDER = """
import os, sys, time
from ritz.flows.serving.claims import hold
hold(sys.argv[1])
if len(sys.argv) > 2:
    # The child says so itself: it lets the claim go only when it first runs.
    if os.fork() == 0:
        print(os.getpid(), flush=True)
    else:
        time.sleep(600)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    return tmp_path


def holder(run: str, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", HOLDER, run, *more], stdout=subprocess.PIPE, text=True)


def test_a_claim_is_held_until_every_holder_is_gone() -> None:
    run = str(uuid4())
    assert not known(run)
    with claimed(run):
        with claimed(run):
            assert held(run)
        assert held(run)
        assert given_up() == []
    assert not held(run)
    assert known(run)
    assert given_up() == [run]
    assert stat.S_IMODE((folder() / run).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder().stat().st_mode) == 0o700


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_claim_is_gone_with_its_process_however_that_ends(end: signal.Signals) -> None:
    run = str(uuid4())
    with holder(run) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert held(run)
        settle(run)
        assert known(run)
        process.send_signal(end)
        process.wait()
        assert not held(run)
    settle(run)
    assert not known(run)


def test_a_forked_child_does_not_hold_the_claim_of_its_parent() -> None:
    run = str(uuid4())
    with holder(run, "fork") as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            assert process.stdout.readline() == "held\n"
            process.kill()
            process.wait()
            assert not held(run)
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_claim_taken_anew_while_it_is_settled_stands() -> None:
    run = str(uuid4())
    first = hold(run)
    # As if another process had settled it between the opening of the file and its lock.
    (folder() / run).unlink()
    assert not known(run)
    again = hold(run)
    assert os.fstat(again.descriptor).st_ino != os.fstat(first.descriptor).st_ino
    assert held(run)


@pytest.mark.parametrize("name", ["no-run", "../../elsewhere", ""])
def test_only_the_id_of_a_run_names_a_claim(name: str) -> None:
    with pytest.raises(ValueError, match="badly formed"):
        hold(name)


def test_a_link_in_the_place_of_a_claim_is_not_followed(home: Path) -> None:
    run, other = str(uuid4()), home / "other"
    other.write_text("kept")
    folder().mkdir()
    (folder() / run).symlink_to(other)
    with pytest.raises(OSError, match="symbolic links"):
        hold(run)
    assert given_up() == []
    assert other.read_text() == "kept"
