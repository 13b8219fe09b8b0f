"""Two hundred generations through one server and an attached scheduler: what stays in memory, and what is left over."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.flows.server.api import own_key
from tests import attached
from tests.command import SMALL, ritz
from tests.faults.service import Service
from tests.patience import until
from tests.served import free_port

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]

RUNS, FIRST = 200, 20
"""Generations, and from which on memory is looked at."""

MOST = 0.2
"""Megabytes per run by which a process may grow."""


def test_many_generations_leave_no_memory_and_nothing_else_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scratch, home, store = tmp_path / "tmp", tmp_path / "home", tmp_path / "store"
    for folder in (scratch, home):
        folder.mkdir(mode=0o700)
    service = Service(port=free_port(), store=store, log=tmp_path / "log", home=home)
    with service.serving() as serve, Local(solve=Role(count=2)).open(("solve",)) as cluster:
        key = until(lambda: own_key(service.port))
        environment = {
            **service.environment,
            "PREFECT_API_URL": f"{service.origin}/api",
            "PREFECT_API_AUTH_STRING": key,
            "TMPDIR": str(scratch),
        }
        [server] = [child for child in serve.children() if "ritz.flows.server.process" in child.cmdline()]
        resident: dict[str, Callable[[], float]] = {
            "server": lambda: server.memory_info().rss / 1e6,
            "ritz serve": lambda: serve.memory_info().rss / 1e6,
            # This process.
            "scheduler": lambda: psutil.Process().memory_info().rss / 1e6,
            "solve workers": lambda: sum(cluster.client.run(_resident).values()) / 1e6,
        }
        before = {child.pid for child in serve.children(recursive=True)}
        seen: list[list[float]] = []
        for number in range(RUNS):
            changes = (f"name=small-{number}", f"data.seed={number}", "data.samples=32", "data.shard=8")
            done = ritz(
                *("generate", SMALL, "--store", str(store), "--profile", attached.profile(cluster), "--json"),
                *(part for change in changes for part in ("--set", change)),
                env=environment,
            )
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["dataset"]["samples"] == 32
            gc.collect()
            seen.append([measure() for measure in resident.values()])
            if number % 10 == 0:
                with capsys.disabled():
                    print(number, dict(zip(resident, np.round(seen[-1], 1).tolist(), strict=True)), flush=True)
        growth = dict(zip(resident, np.polyfit(range(FIRST, RUNS), seen[FIRST:], 1)[0].tolist(), strict=True))
        with capsys.disabled():
            print("MB per run:", {name: round(value, 3) for name, value in growth.items()})
        assert {child.pid for child in serve.children(recursive=True)} == before
        assert list(scratch.iterdir()) == []
        assert not [task for task in cluster.client.run_on_scheduler(_tasks) if task]
    assert {name: value for name, value in growth.items() if value >= MOST} == {}


def _resident() -> int:
    return int(psutil.Process().memory_info().rss)


def _tasks(dask_scheduler: object) -> list[str]:
    return [str(key) for key in getattr(dask_scheduler, "tasks", ())]
