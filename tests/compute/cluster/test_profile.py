from __future__ import annotations

import os
import threading
import time

import pytest
from pydantic import ValidationError

from compute.cluster.cluster import Cluster
from compute.cluster.errors import ClusterError
from compute.cluster.priority import NICENESS
from compute.cluster.profile import Attach, Local, Role
from tests.compute.cluster.work import chatter, environment, page_faults


def test_roles_have_their_own_workers_and_threads(cluster: Cluster) -> None:
    solve, train = cluster.call("solve", environment), cluster.call("train", environment)
    assert (cluster.workers("solve"), cluster.workers("train")) == (2, 1)
    assert (solve["threads"], train["threads"]) == ("1", "2")
    assert solve["pid"] != train["pid"]


def test_workers_keep_the_memory_they_free(cluster: Cluster) -> None:
    # 8192 pages; with Dask's own setting every one of them is asked for again, and training is 3 times slower.
    assert cluster.call("train", page_faults) < 100


def test_messages_reach_who_listens(cluster: Cluster) -> None:
    heard: list[dict[str, int]] = []
    with cluster.listen("chatter", heard.append):
        cluster.call("train", chatter, "chatter")
        deadline = time.monotonic() + 10
        while len(heard) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert heard == [{"step": 0}, {"step": 3}], "those between come too soon after the first"


def test_a_running_scheduler_can_be_attached_to(cluster: Cluster) -> None:
    with Attach(address=cluster.client.scheduler_info()["address"]).open() as attached:
        assert attached.workers("solve") == 2
        assert attached.call("solve", abs, -3) == 3


def test_workers_stand_back_behind_the_driver(cluster: Cluster) -> None:
    assert {cluster.call(role, os.nice, 0) - os.nice(0) for role in ("solve", "train")} == {NICENESS}


def test_nobody_at_the_address_is_said_in_time() -> None:
    start = time.monotonic()
    with pytest.raises(ClusterError, match=r"profile\.address.*'tcp://127\.0\.0\.1:9'"):
        Attach(address="tcp://127.0.0.1:9", timeout=2).check()
    assert time.monotonic() - start < 15


def test_a_role_without_worker_is_said() -> None:
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=1, dashboard_address="127.0.0.1:0", host="127.0.0.1") as bare,
        pytest.raises(ClusterError, match="resource 'solve'"),
    ):
        Attach(address=bare.scheduler_address, timeout=1).check()


def test_a_worker_that_is_on_its_way_is_waited_for() -> None:
    from distributed import LocalCluster

    roles = {"solve": 1, "train": 1}
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", host="127.0.0.1", resources=roles) as bare:
        coming = threading.Timer(1.0, bare.scale, [1])
        coming.start()
        Attach(address=bare.scheduler_address).check()
        coming.join()


@pytest.mark.parametrize("field", [{"count": 0}, {"threads": -1}, {"device": "abacus"}])
def test_a_bad_role_names_its_field(field: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(field))):
        Local(solve=Role(**field))


def test_solvers_have_no_device_of_their_own() -> None:
    with pytest.raises(ValidationError, match="device is 'cuda', expected 'cpu': the solvers work there alone"):
        Local(solve=Role(device="cuda"))


def test_a_device_that_is_not_there_is_refused_before_workers_start() -> None:
    import torch

    missing = [name for name in ("cuda", "mps") if not getattr(torch, name).is_available()]
    for device in missing:
        with pytest.raises(ClusterError, match=f"profile.train.device is '{device}', .* expected one of cpu"):
            Local.model_validate({"train": {"device": device}}).check()


def test_the_cluster_knows_where_training_computes(cluster: Cluster) -> None:
    assert cluster.device == "cpu"
