from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ritz.compute.cluster import forking
from ritz.flows.server.access import standing
from ritz.storage.backends.lock import locked
from ritz.tasks.preparing import AHEAD
from tests.bucket import serving
from tests.command import TINY, ritz
from tests.rooms import ROOMS

os.environ.setdefault("MPLBACKEND", "agg")

# A shell that starts the tests in the background has them ignore Ctrl-C, and so all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# And one that shall outlive its terminal, that this is closed.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# As the workers of a cluster: pools of threads in every process of a parallel run would wait for each other's cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The tests have a Prefect of their own, and a setting of the developer's does not reach them.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="ritz-prefect-")
atexit.register(shutil.rmtree, os.environ["PREFECT_HOME"], ignore_errors=True)
os.environ["XDG_STATE_HOME"] = os.environ["PREFECT_HOME"]
for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_PROFILE", "RITZ_STORE"):
    os.environ.pop(name, None)


LEARNING = ("torch", "torch._dynamo", "neuralop", "sklearn.decomposition", "sklearn.linear_model", "matplotlib.figure")
"""Modules of workers that train, which start no threads where numeric libraries have one."""

FIRST = ("end_to_end", "flows", "faults", "test_installed.py", "tasks", "storage")
"""What a parallel run of the tests starts with: files that take long, so that none of them is alone at the end."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of `FIRST` in front, in that order."""
    tests = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        name = item.path.relative_to(tests).parts[0] if item.path.is_relative_to(tests) else ""
        return FIRST.index(name) if name in FIRST else len(FIRST)

    items.sort(key=place)


@pytest.fixture(autouse=True)
def nothing_left_in_the_environment() -> Iterator[None]:
    """What changes where all later processes start, or whom they ask, is undone by who did it."""
    yield
    names = {"PYTHONSAFEPATH", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"}
    # A worker that a test has killed may be starting again.
    patience = time.monotonic() + 30
    while (left := names & os.environ.keys()) and time.monotonic() < patience:
        time.sleep(0.1)
    for name in left:
        del os.environ[name]
    assert not left


@pytest.fixture(scope="session", autouse=True)
def loaded_once() -> None:
    """The fork server of this process, from which the workers of all clusters start, loads what they need once."""
    forking.start((*AHEAD, *LEARNING))


@pytest.fixture(scope="session", autouse=True)
def no_room_under_its_bare_name() -> Iterator[None]:
    """A module that is there twice, as `compute` and as `ritz.compute`, has two of each of its classes."""
    yield
    assert not set(ROOMS) & sys.modules.keys()


@pytest.fixture(scope="session")
def environment() -> Iterator[dict[str, str]]:
    """Environment of commands that share one Prefect server, which takes seconds to start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with standing(port, None):
        named = dict(os.environ)
        # Not for what this process does by itself.
        for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
            del os.environ[name]
        yield named


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which an S3 server of the tests can be used; from here on it is this process's too."""
    with serving(tmp_path_factory.mktemp("s3")) as environment, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        yield environment


@pytest.fixture
def bucket(s3: dict[str, str]) -> str:
    """The URL of a store in a new bucket."""
    from ritz.storage.backends.s3 import filesystem

    name = f"ritz-{uuid4().hex}"
    where = {"LocationConstraint": s3["AWS_REGION"]}
    filesystem().call_s3("create_bucket", Bucket=name, CreateBucketConfiguration=where)
    return f"s3://{name}/team/ritz"


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A store in which `ritz run` has finished the recipe `tests.command.TINY`, and the record; only to be read.

    What the run wrote on stderr lies beside the store, in ``log.txt``. All processes of a parallel run of the tests
    share it: the first one makes it.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    store, record = folder / "tiny" / "store", folder / "tiny" / "record.json"
    with locked(str(folder / "tiny" / "lock"), "the store of the tests", wait=240):
        if not record.exists():
            done = ritz("run", TINY, "--store", str(store), "--json")
            assert done.returncode == 0, done.stderr
            store.with_name("log.txt").write_text(done.stderr)
            record.write_text(done.stdout)
    return store, json.loads(record.read_text())
