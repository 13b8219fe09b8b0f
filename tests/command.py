"""Runs the `ritz` command as a user would: a process of its own, in a process group that is ended as a whole."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ritz.flows.cli import main

RITZ = str(Path(sys.executable).with_name("ritz"))

TINY = str(Path(__file__).with_name("tiny.yaml"))
"""A recipe that runs in seconds."""

SMALL = str(Path(__file__).with_name("small.yaml"))
"""A recipe that runs even faster, for tests of what is around a run."""


@contextmanager
def started(*arguments: str, **options: object) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a process group of its own, and kill what is left of the group at the end.

    The options are those of `subprocess.Popen`; stdout and stderr are pipes of text unless they say otherwise.
    """
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "text": True}
    process = subprocess.Popen(arguments, start_new_session=True, **{**given, **options})  # type: ignore[call-overload]
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def ritz(*arguments: str, timeout: float = 240, **options: object) -> subprocess.CompletedProcess[str]:
    """Run `ritz` to its end and return what it printed."""
    with started(RITZ, *arguments, **options) as process:
        stdout, stderr = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess([RITZ, *arguments], process.returncode, stdout, stderr)


def inside(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Do what `ritz` does in this process, which costs no imports; ``env`` is added to its environment meanwhile."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        redirect_stdout(stdout),
        redirect_stderr(stderr),
        patch.object(sys, "argv", ["ritz", *arguments]),
        patch.dict(os.environ, env or {}),
    ):
        code = main()
    return subprocess.CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())


def printed(*arguments: str, env: Mapping[str, str]) -> dict[str, Any]:
    """Do what `ritz` does with ``--json`` in this process, which must end well, and return what it printed.

    The server that ``env`` names runs already: what is left of a command is its own work.
    """
    done = inside(*arguments, "--json", env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


REPLAY = """
import json, sys
from ritz.storage.store import Store
from ritz.tasks.training.replay_worker import done_again, opened
print(json.dumps(done_again(opened(Store(sys.argv[1]), sys.argv[2])).document()))
"""


def replayed(store: str, model: str, **options: object) -> dict[str, Any]:
    """Do a training again in a process of its own, as a worker is: PARDISO, once loaded, changes the last ones."""
    with started(sys.executable, "-c", REPLAY, store, model, **options) as process:
        stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    found: dict[str, Any] = json.loads(stdout)
    return found
