"""What a file system is asked before a store is kept on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ritz.storage.backends import file_system
from ritz.storage.backends.file_system import faults, mounted


def test_this_one_has_no_fault_and_keeps_nothing_of_the_question(tmp_path: Path) -> None:
    assert list(faults(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_two_processes_get_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_system, "OTHER", "pass")
    assert list(faults(tmp_path)) == ["flock gives one lock to two processes"]


def test_a_mount_whose_locks_are_of_one_machine_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_system, "mounted", lambda _: ("nfs4", ("rw", "local_lock=all")))
    assert list(faults(tmp_path)) == ["nfs4 is mounted with 'local_lock=all': a lock is of this machine alone"]


def test_a_folder_that_cannot_be_written_is_an_error() -> None:
    with pytest.raises(OSError, match="/proc"):
        list(faults(Path("/proc")))


def test_the_mount_of_a_folder_is_the_innermost() -> None:
    assert mounted(Path("/proc/self"))[0] == "proc"
