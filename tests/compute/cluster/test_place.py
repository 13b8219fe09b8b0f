"""Large values that go to a worker ahead of the tasks that need them."""

from __future__ import annotations

import os
import signal
import warnings

import numpy as np
import pytest

from ritz.compute.cluster.cluster import Cluster, WorkersLost
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from tests.compute.cluster.work import environment, size_of


def test_a_task_gets_the_value_and_nobody_is_warned(cluster: Cluster) -> None:
    value = np.zeros(3_000_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cluster.call("train", size_of, cluster.place("train", value)) == value.size


def test_a_value_that_is_gone_with_its_worker_is_a_lost_worker() -> None:
    with Local(solve=Role(count=1)).open(("solve",)) as cluster:
        placed = cluster.place("solve", np.zeros(10))
        worker = cluster.call("solve", environment)["pid"]
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(WorkersLost, match="that held what"):
            cluster.call("solve", size_of, placed)
