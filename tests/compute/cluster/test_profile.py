from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ritz.compute.cluster.attach import Attach
from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.errors import ClusterError
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.priority import NICENESS
from ritz.compute.cluster.profile import Role
from tests.compute.cluster.conftest import plain
from tests.compute.cluster.work import chatter, environment, page_faults


def test_roles_have_their_own_workers_and_threads(cluster: Cluster) -> None:
    solve, train = cluster.call("solve", environment), cluster.call("train", environment)
    assert (cluster.workers("solve"), cluster.workers("train")) == (2, 1)
    assert (solve["threads"], train["threads"]) == ("1", "2")
    assert (solve["blas"], train["blas"]) == ({1}, {2})
    assert solve["pid"] != train["pid"]


@pytest.mark.parametrize("size", [2**20, 2**25, 2**27])
def test_workers_keep_the_memory_they_free(cluster: Cluster, size: int) -> None:
    # 256 to 32768 pages; with Dask's own setting every one of them is asked for again, and training is 3 times slower.
    assert cluster.call("train", page_faults, size) < 100


def test_messages_reach_who_listens(cluster: Cluster) -> None:
    heard: list[dict[str, int]] = []
    with cluster.listen("chatter", heard.append):
        cluster.call("train", chatter, "chatter")
        deadline = time.monotonic() + 10
        while len(heard) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert heard == [{"step": 0}, {"step": 3}], "those between come too soon after the first"


@pytest.fixture
def running() -> Iterator[Any]:
    """A cluster of Dask that others run, on loopback, without workers."""
    with plain(n_workers=0, resources={"solve": 1}) as bare:
        yield bare


def test_a_running_scheduler_is_attached_to_by_those_who_have_its_certificate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from distributed import Security

    ours, another = Security.temporary(), Security.temporary()
    files = {}
    for owner, security in (("ours", ours), ("another", another)):
        for name, text in (("cert", security.tls_client_cert), ("key", security.tls_client_key)):
            files[owner, name] = tmp_path / f"{owner}-{name}.pem"
            files[owner, name].write_text(text)
            files[owner, name].chmod(0o600)
    with plain(n_workers=1, resources={"solve": 1}, security=ours) as bare:
        address = bare.scheduler_address

        def attach(owner: str) -> Attach:
            cert = files[owner, "cert"]
            return Attach(address=address, timeout=2, ca=cert, cert=cert, key=files[owner, "key"])

        with caplog.at_level("WARNING", "ritz"):
            with attach("ours").open(("solve",)) as attached:
                assert attached.call("solve", abs, -3) == 3
            assert caplog.text == ""
            files["ours", "key"].chmod(0o640)
            with attach("ours").open(("solve",)):
                pass
            assert "can be read by others; expected mode 0600" in caplog.text
        for refused in (attach("another"), Attach(address=address.replace("tls:", "tcp:"), timeout=2)):
            with pytest.raises(ClusterError, match=r"profile\.address: no Dask scheduler answered"):
                refused.check(("solve",))


def test_an_address_without_tls_is_said_to_be_open(running: Any, caplog: pytest.LogCaptureFixture) -> None:
    running.scale(1)
    with caplog.at_level("WARNING", "ritz"), Attach(address=running.scheduler_address).open(("solve",)) as attached:
        assert attached.workers("solve") == 1
    assert (
        "is not encrypted: every process that reaches its port can run code as the owner of its workers" in caplog.text
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"address": "tls://127.0.0.1:9", "ca": "a.pem"}, "of ca, cert and key only ca is given, expected all three"),
        ({"address": "tcp://127.0.0.1:9", "ca": "a", "cert": "b", "key": "c"}, "expected one that begins with tls://"),
    ],
)
def test_certificates_that_cannot_be_used_are_refused(fields: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Attach.model_validate(fields)


def test_certificates_may_lie_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    files = {name: f"~/{name}.pem" for name in ("ca", "cert", "key")}
    found = Attach.model_validate({"address": "tls://127.0.0.1:9", **files})
    assert (found.ca, found.key) == (tmp_path / "ca.pem", tmp_path / "key.pem")
    with pytest.raises(ValidationError, match="~nobody-here/ca"):
        Attach.model_validate({"address": "tls://127.0.0.1:9", **files, "ca": "~nobody-here/ca.pem"})


def test_certificates_that_are_not_there_are_named(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("certainly")
    with pytest.raises(ClusterError, match=r"profile\.ca: is not given; expected"):
        Attach(address="tls://127.0.0.1:9").check()
    with pytest.raises(ClusterError, match=r"profile\.key: '.*missing.pem' cannot be read \(No such file"):
        Attach(address="tls://127.0.0.1:9", ca=wrong, cert=wrong, key=tmp_path / "missing.pem").check()
    with pytest.raises(ClusterError, match=r"profile\.ca, cert, key: .* are no two certificates in PEM"):
        Attach(address="tls://127.0.0.1:9", ca=wrong, cert=wrong, key=wrong).check()


def test_workers_stand_back_behind_the_driver(cluster: Cluster) -> None:
    assert {cluster.call(role, os.nice, 0) - os.nice(0) for role in ("solve", "train")} == {NICENESS}


def test_nobody_at_the_address_is_said_in_time() -> None:
    start = time.monotonic()
    with pytest.raises(ClusterError, match=r"profile\.address.*'tcp://127\.0\.0\.1:9'"):
        Attach(address="tcp://127.0.0.1:9", timeout=2).check()
    assert time.monotonic() - start < 15


def test_a_role_without_worker_is_said(running: Any) -> None:
    with pytest.raises(ClusterError, match="resource 'train' within 1 s; start one with `dask worker tcp://"):
        Attach(address=running.scheduler_address, timeout=1).check(("train",))


def test_only_the_roles_that_are_needed_are_waited_for_and_started(running: Any) -> None:
    coming = threading.Timer(1.0, running.scale, [1])
    coming.start()
    with Attach(address=running.scheduler_address).open(("solve",)) as attached:
        assert (attached.workers("solve"), attached.workers("train")) == (1, 0)
    coming.join()
    with Local(solve=Role(count=1)).open(("solve",)) as cluster:
        assert (cluster.workers("solve"), cluster.workers("train")) == (1, 0)


@pytest.mark.parametrize("field", [{"count": 0}, {"threads": -1}, {"device": "abacus"}])
def test_a_bad_role_names_its_field(field: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(field))):
        Local(solve=Role(**field))


@pytest.mark.parametrize(
    ("solve", "train", "count"),
    [
        ({}, {}, 15),
        ({"threads": 4}, {"threads": 8}, 2),
        ({"memory": "6GiB"}, {"memory": "8GiB"}, 4),
        ({"memory": "100GiB", "threads": 32}, {}, 1),
    ],
)
def test_solvers_can_be_as_many_as_the_machine_has_room_for(
    solve: dict[str, Any], train: dict[str, Any], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dask.system.CPU_COUNT", 16)
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 32 * 2**30)
    assert Local.model_validate({"solve": {"count": "auto", **solve}, "train": train}).solve.count == count
    with pytest.raises(ValidationError, match=r"solve\.threads"):
        Local.model_validate({"solve": {"count": "auto", "threads": "x"}})
    assert Local().solve.count == 2


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
