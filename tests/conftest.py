from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from storage.lock import locked
from tests.command import TINY, ritz

os.environ.setdefault("MPLBACKEND", "agg")

# As the workers of a cluster: pools of threads in every process of a parallel run would wait for each other's cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The tests have a Prefect of their own, and a setting of the developer's does not reach them.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="ritz-prefect-")
atexit.register(shutil.rmtree, os.environ["PREFECT_HOME"], ignore_errors=True)
for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "RITZ_STORE"):
    os.environ.pop(name, None)


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
