from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.storage.store import Store
from tests import attached
from tests.command import RITZ, SMALL, inside, ritz, started

SIZES = ("--seeds", "2", "--samples", "8", "--epochs", "16", "--fresh", "2")
ARMS = {"offline", "equal_steps", "equal_solves", "equal_time"}


@pytest.fixture(scope="module")
def killed(
    tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, environment: dict[str, str]
) -> tuple[tuple[str, ...], dict[str, int]]:
    """A comparison whose driver was killed after a few trainings: the command, and when each result was written."""
    store = tmp_path_factory.mktemp("compared") / "store"
    place = ("--store", str(store), "--profile", attached.profile(cluster), "--json")
    command = ("compare", "online-offline", SMALL, *SIZES, *place)
    with started(RITZ, *command, env=environment) as process:
        for _ in range(1200):
            if len(_results(store)) >= 2 or process.poll() is not None:
                break
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    # What a worker has begun it ends, also without a driver.
    time.sleep(1.0)
    return command, _results(store)


def _results(store: Path) -> dict[str, int]:
    return {str(one): one.stat().st_mtime_ns for one in store.glob("comparisons/small/*/*/result.json")}


@pytest.mark.soak
def test_a_killed_comparison_goes_on_and_a_finished_one_does_nothing(
    killed: tuple[tuple[str, ...], dict[str, int]], environment: dict[str, str]
) -> None:
    command, before = killed
    assert 2 <= len(before) < 8
    done = ritz(*command, env=environment)
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    store = Path(record["paths"]["store"])
    after = _results(store)
    assert len(after) == 8
    assert {one: after[one] for one in before} == before
    assert not list(store.glob("fits/*/summary.json"))

    assert set(record["arms"]) == ARMS
    for name, arm in record["arms"].items():
        assert [one["seed"] for one in arm["seeds"]] == record["seeds"] == [0, 1]
        assert {one["steps"] for one in arm["seeds"]} == {arm["steps"]}
        assert {one["received"] for one in arm["seeds"]} == {arm["samples"]}
        assert arm["steps"] == 32 or name == "equal_time"
    assert (record["arms"]["equal_steps"]["samples"], record["arms"]["equal_solves"]["samples"]) == (16, 8)
    assert record["arms"]["equal_time"]["steps"] >= 32
    for found in record["gains"].values():
        assert found["low"] <= found["mean"] <= found["high"]
        assert found["same_first_weights"]
        assert found["pairs"] == 2

    page = Path(record["paths"]["page"]).read_text()
    for part in ("equal wall time (modelled)", "+68%", "+16%", "+7%", "ritz compare online-offline", "data:image/png"):
        assert part in page
    assert not re.search(r"https?://", page)
    for picture in ("curves", "gains"):
        assert Store(store).read(f"comparisons/small/{record['comparison']}/{picture}.png").startswith(b"\x89PNG")

    written = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()}
    again = inside(*command[:-1])
    assert again.returncode == 0
    assert again.stderr == f"nothing to do: comparison {record['comparison']} has all 2 seeds\n"
    assert again.stdout.splitlines()[0].startswith("at ")
    assert "16 / 8" in again.stdout
    assert len(re.findall(r"^at equal .* online is ", again.stdout, re.MULTILINE)) == 3
    assert "published: fully connected +68%, fno +16%, message passing +7%" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()} == written
