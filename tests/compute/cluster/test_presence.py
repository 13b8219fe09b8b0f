"""Workers and schedulers that go away while work waits for them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ritz.compute.cluster import presence
from ritz.compute.cluster.attach import Attach
from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.errors import ClusterError
from ritz.compute.cluster.stream import stream
from tests.compute.cluster.conftest import plain
from tests.compute.cluster.work import square


@pytest.fixture
def running() -> Iterator[Any]:
    with plain(n_workers=1, resources={"solve": 1, "train": 1}) as bare:
        yield bare


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "NOTICE", 0.2)
    monkeypatch.setattr(presence, "CHECK_EVERY", 0.1)


def _streamed(cluster: Cluster) -> None:
    for _ in stream(cluster, square, range(10_000), window=2, role="solve"):
        pass


def _called(cluster: Cluster) -> None:
    cluster.call("solve", time.sleep, 3600)


@pytest.mark.parametrize("work", [_streamed, _called])
def test_no_worker_left_is_said_and_then_the_end(
    work: Any, running: Any, soon: None, caplog: pytest.LogCaptureFixture
) -> None:
    attach = Attach(address=running.scheduler_address, patience=1.5)
    with caplog.at_level("WARNING", "ritz"), attach.open(("solve",)) as cluster:
        gone = threading.Timer(0.5, running.scale, [0])
        gone.start()
        with pytest.raises(
            ClusterError, match=r"no worker offers the resource 'solve', for \d+ s \(profile.patience is 1"
        ):
            work(cluster)
        gone.join()
    said = [
        record.message
        for record in caplog.records
        if "no worker offers the resource 'solve'; waiting" in record.message
    ]
    assert len(said) == 1
    assert f"start one with `dask worker {running.scheduler_address} --nthreads 1 --resources solve=1`" in said[0]


def test_one_that_comes_back_in_time_goes_on(running: Any, soon: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "ritz"), Attach(address=running.scheduler_address).open(("solve",)) as cluster:
        running.scale(0)
        while cluster.workers("solve"):
            time.sleep(0.02)

        def come_back() -> None:
            while "waiting" not in caplog.text:
                time.sleep(0.02)
            running.scale(1)

        back = threading.Thread(target=come_back)
        back.start()
        assert cluster.call("solve", abs, -3) == 3
        back.join()


def _watched(cluster: Cluster, minimum: int = 1, role: str = "solve") -> None:
    while True:
        cluster.presence.check(role, minimum)
        time.sleep(0.02)


def test_fewer_workers_than_ranks_are_said_too(running: Any, soon: None) -> None:
    with (
        Attach(address=running.scheduler_address, patience=0.5).open(("train",)) as cluster,
        pytest.raises(ClusterError, match="1 workers offer the resource 'train', expected 2, for"),
    ):
        _watched(cluster, 2, "train")


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_lost_scheduler_is_one_error(comes_back: bool) -> None:
    """Also if another one has come in its place: that knows of none of the work."""
    with _Scheduler() as scheduler:

        def lose() -> None:
            with Attach(address=scheduler.address).open(()) as cluster:
                scheduler.kill()
                if comes_back:
                    scheduler.start()
                    while cluster.client.status != "running":
                        time.sleep(0.02)
                _watched(cluster)

        with pytest.raises(ClusterError) as error:
            lose()
    assert str(error.value).startswith(f"profile.address: the scheduler at {scheduler.address!r} is gone; what is")


class _Scheduler:
    """A scheduler in a process of its own that can be killed and started again at its address."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = (
            *(sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--no-dashboard", "--dashboard-address", "127.0.0.1:0"),
        )
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> _Scheduler:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
