from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.forking import FORKS
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from tests.compute.cluster.work import environment, variable

pytestmark = pytest.mark.skipif(not FORKS, reason="workers are no forks on this system")


def test_workers_are_forks_of_one_process_of_this_one(cluster: Cluster) -> None:
    found = [cluster.call(role, environment) for role in ("solve", "train")]
    assert len({worker["parent"] for worker in found}) == 1
    assert psutil.Process(found[0]["parent"]).ppid() == os.getpid()


def test_a_worker_knows_what_the_driver_was_told_since(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    # The cluster of the fixture has started what workers are forked from.
    monkeypatch.setenv("RITZ_TEST_SINCE", "told")
    with Local(solve=Role(count=1)).open(("solve",)) as later:
        assert later.call("solve", variable, "RITZ_TEST_SINCE") == "told"
        assert later.call("solve", variable, "PYTHONSAFEPATH") == "1"


def test_workers_come_back_when_what_they_were_forked_from_is_gone() -> None:
    """In a process of its own: all clusters of a process have their workers from one that they are forked from."""
    code = """
import os, signal
import psutil
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from tests.compute.cluster.work import environment
from tests.patience import until

if __name__ == "__main__":
    with Local(solve=Role(count=2)).open(("solve",)) as cluster:
        before = cluster.call("solve", environment)
        family = [before["pid"], *(worker.pid for worker in psutil.Process(before["parent"]).children())]
        os.kill(before["parent"], signal.SIGKILL)
        # Those that are left work for nobody: Dask has started others in their place.
        until(lambda: not any(psutil.pid_exists(pid) for pid in family))
        until(lambda: cluster.workers("solve") == 2)
        after = cluster.call("solve", environment)
    print(after["parent"] != before["parent"], after["pid"] not in family)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert done.stdout == "True True\n", done.stderr


def test_what_is_loaded_ahead_is_there_in_the_worker_and_not_in_the_driver() -> None:
    code = """
import sys
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role

if __name__ == "__main__":
    profile = Local(solve=Role(count=1))
    profile.ahead(["wave"])
    assert "distributed" not in sys.modules, "to start it costs a driver nothing"
    from tests.compute.cluster.work import loaded

    with profile.open(("solve",)) as cluster:
        print(cluster.call("solve", loaded, "wave"), loaded("wave"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("True False\n", "")


def test_a_fork_server_of_others_makes_no_workers() -> None:
    """It has another environment, e.g. that of the `DataLoader` that began it."""
    code = """
import os
from multiprocessing import forkserver
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from tests.compute.cluster.work import environment, page_faults

if __name__ == "__main__":
    forkserver.ensure_running()
    with Local(train=Role()).open(("train",)) as cluster:
        parent = cluster.call("train", environment)["parent"]
        print(parent == os.getpid(), cluster.call("train", page_faults, 2**25) < 100)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("True True\n", "")
