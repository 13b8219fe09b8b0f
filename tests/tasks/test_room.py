from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.storage.errors import Refused
from ritz.tasks.generation.room import SLACK, SOLVER, SOLVING, check_room, sample_bytes, size
from ritz.tasks.recipes import load
from tests.command import SMALL, TINY, inside

Disk = namedtuple("Disk", "total used free")

MEASURE = """
import sys
import numpy as np
from ritz.compute.problems.darcy import Darcy
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.simulation.simulate import simulate
problem = Darcy(shape=(128, 128))
simulate(problem, problem.draw(0, np.arange(int(sys.argv[1]))), Multigrid(), 1e-6)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) * 1024)
"""


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def has(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(free, 0, free))

    return has


def test_a_dataset_beyond_the_disk_is_refused_with_all_numbers_before_anything_starts(tmp_path: Path) -> None:
    changes = ("problem.shape=[4096,4096]", "data.samples=1000000000", "data.shard=20")
    store = tmp_path / "store"
    arguments = [word for change in changes for word in ("--set", change)]
    for command in ("run", "generate"):
        done = inside(command, "darcy", *arguments, "--store", str(store))
        assert (done.returncode, done.stdout) == (2, "")
        assert "data.samples: to keep 1000000000 new samples of 134 MB takes about 134 PB, and " in done.stderr
        assert sum("data.samples: to keep" in line for line in done.stderr.splitlines()) == 1
        assert ("training.buffer.capacity: to hold" in done.stderr) == (command == "run")
    assert [entry.name for entry in store.iterdir()] == []


@pytest.mark.parametrize(
    ("role", "changes", "message"),
    [
        ("solve", {"data.shard": 160}, "data.shard: to solve 160 samples of 2.0 kB"),
        ("train", {"training.buffer.capacity": 96}, "training.buffer.capacity: to hold 112 samples of 2.0 kB"),
        ("driver", {}, "data.samples: to order 160 samples takes about 48.0 kB, and this machine has 10.0 kB; lower"),
    ],
)
def test_what_does_not_fit_into_memory_is_named(
    tmp_path: Path, role: str, changes: dict[str, Any], message: str
) -> None:
    pipeline = load(TINY, changes)
    with pytest.raises(Refused, match=message):
        check_room(pipeline, str(tmp_path), {role: 10_000}, trains=True)
    check_room(pipeline, str(tmp_path), {role: 10**10}, trains=True)


def test_near_the_edge_there_is_a_warning(
    tmp_path: Path, disk: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = load(SMALL)
    takes = pipeline.data.samples * sample_bytes(pipeline)
    caplog.set_level(logging.WARNING, "ritz")
    disk(takes)
    check_room(pipeline, str(tmp_path), {}, trains=False)
    assert caplog.text == ""
    disk(int(takes / SLACK) + 1)
    check_room(pipeline, str(tmp_path), {}, trains=False)
    assert "to keep 40 new samples of 512 B takes about 20.5 kB" in caplog.text
    disk(int(takes / SLACK) - 1)
    with pytest.raises(Refused, match="40 new samples"):
        check_room(pipeline, str(tmp_path), {}, trains=False)


def test_a_dataset_that_grows_needs_room_for_what_is_new(
    tiny_store: tuple[Path, dict[str, Any]], disk: Callable[[int], None]
) -> None:
    disk(0)
    check_room(load(TINY), str(tiny_store[0]), {}, trains=True)
    with pytest.raises(Refused, match="to keep 40 new samples"):
        check_room(load(TINY).with_samples(200), str(tiny_store[0]), {}, trains=True)


def test_a_bucket_has_no_disk_that_could_be_full(monkeypatch: pytest.MonkeyPatch) -> None:
    from ritz.tasks.generation.room import free_bytes

    class Bucket:
        url = "s3://bucket/ritz"

    monkeypatch.setattr(shutil, "disk_usage", lambda _: pytest.fail("a bucket lies on no disk of this machine"))
    assert free_bytes(Bucket()) is None  # type: ignore[arg-type]


def test_the_limits_are_those_of_the_profile() -> None:
    limits = Local(solve=Role(memory="300MB"), train=Role(memory="0")).limits()
    assert limits["solve"] == 300_000_000
    assert limits["train"] == limits["driver"] > limits["solve"]


def test_the_estimate_of_a_shard_is_what_is_measured() -> None:
    few, many = (
        int(subprocess.run([sys.executable, "-c", MEASURE, str(n)], capture_output=True, check=True).stdout)
        for n in (8, 72)
    )
    sample = sample_bytes(load("darcy", {"problem.shape": [128, 128]}))
    for n, peak in ((8, few), (72, many)):
        assert 0.5 < (SOLVER + SOLVING * n * sample) / peak < SLACK
    assert 0.5 < SOLVING * 64 * sample / (many - few) < SLACK


@pytest.mark.parametrize(("count", "text"), [(0, "0.0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.53e10, "25.3 GB")])
def test_sizes_are_written_for_people(count: float, text: str) -> None:
    assert size(count) == text
