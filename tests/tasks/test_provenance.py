from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ritz.tasks.documents import provenance


def test_a_record_says_with_what_and_on_what_it_was_made(tiny_store) -> None:
    record = tiny_store[1]
    assert record["versions"]["python"] == platform.python_version()
    assert set(provenance.PACKAGES) <= set(record["versions"])
    assert record["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert record["machine"]["processor"]
    assert record["cost"]["inference"]["processor"] == record["machine"]["processor"]
    assert record["cost"]["inference"]["spread"] >= 1
    assert record["cost"]["inference"]["load"] >= 0


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_build_of_a_checkout_is_its_commit_and_whether_files_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    folder = tmp_path / "ritz" / "tasks" / "documents"
    folder.mkdir(parents=True)
    file = folder / "provenance.py"
    file.write_text("first")
    monkeypatch.setattr(provenance, "__file__", str(file))
    assert provenance._checkout() is None
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert re.fullmatch(r"[0-9a-f]{40}", commit)
    assert provenance._checkout() == commit
    file.write_text("second")
    assert provenance._checkout() == f"{commit}+changes"
