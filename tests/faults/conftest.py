from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.storage.datasets import Dataset
from ritz.storage.listing import list_datasets
from ritz.storage.store import Store
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.recipes import load
from tests.command import TINY
from tests.faults.trapped import Trapped, TrappedTrajectories
from tests.history import commits

ROOT = Path(__file__).parents[2]

SHARD, SHARDS, STEPS = 8, 20, 96
"""Samples in a shard, shards, and training steps of the tiny recipe."""

PROBES = 3
"""Blocks that the probe of a run poses: one sample, a shard, and its first two samples step by step."""

AGAIN = 1
"""Blocks that a run poses which goes on from some shards: it looks whether the chosen solver can solve a sample."""

PROBED = 1 + SHARD + 2
"""Samples in them."""

PATIENCE = 240.0
"""Seconds to wait for what a driver does: on a machine with seven times as much to do, its start alone took 100."""


@dataclass(frozen=True)
class Trap:
    """A run of the tiny recipe with a problem of `tests.faults.trapped`, in a store of its own."""

    folder: Path
    store: Store
    environment: dict[str, str]
    in_time: bool = False
    """Whether the samples are trajectories."""

    def command(self, *more: str, singular: tuple[int, ...] = ()) -> tuple[str, ...]:
        """Arguments of ``ritz``."""
        problem = self.problem.model_dump(mode="json", exclude_unset=True) | {"kind": self.problem.kind}
        if singular:
            problem["singular"] = list(singular)
        return "run", TINY, "--set", f"problem={json.dumps(problem)}", "--store", self.store.url, "--json", *more

    @contextmanager
    def gated(self, blocks: int) -> Iterator[None]:
        """Let only so many blocks be solved, beside those that get a token."""
        gate = self.folder / "gate"
        gate.touch()
        # What was left over by a run that was ended.
        for token in self.folder.glob("token-*"):
            token.unlink(missing_ok=True)
        self.let_through(blocks)
        try:
            yield
        finally:
            gate.unlink()

    def let_through(self, blocks: int) -> None:
        """Let more blocks be solved."""
        for _ in range(blocks):
            (self.folder / f"token-{time.monotonic_ns()}").touch()

    def committed(self) -> int:
        """Shards that are committed now."""
        return len(self.dataset().committed()) if "tiny" in list_datasets(self.store) else 0

    def commits(self) -> dict[int, int]:
        """How often each shard was committed."""
        return Counter(chain.from_iterable(commits(self.store, "tiny")))

    @property
    def problem(self) -> Trapped | TrappedTrajectories:
        """What is solved."""
        if self.in_time:
            return TrappedTrajectories(shape=(16,), steps=4, folder=str(self.folder))
        return Trapped(shape=(16, 16), folder=str(self.folder))

    @property
    def field(self) -> str:
        """Name of the input field by which it is told what was solved."""
        return "u0" if self.in_time else "a"

    @property
    def pipeline(self) -> Pipeline:
        """What the command runs."""
        return load(TINY).model_copy(update={"problem": self.problem})

    def dataset(self) -> Dataset:
        return Dataset.open(self.store, "tiny")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> dict[str, str]:
    """Environment of a command in which the trapped problems are installed as another package would install them."""
    installed = tmp_path_factory.mktemp("installed")
    about = installed / "trapped-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: trapped\nVersion: 1.0\n")
    kinds = {"trapped": "Trapped", "trapped_trajectories": "TrappedTrajectories"}
    points = "".join(f"{kind} = tests.faults.trapped:{name}\n" for kind, name in kinds.items())
    (about / "entry_points.txt").write_text(f"[ritz.problems]\n{points}")
    return {**environment, "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"}


def new(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], in_time: bool = False) -> Trap:
    place = tmp_path_factory.mktemp("trap")
    (place / "folder").mkdir()
    return Trap(place / "folder", Store(place / "store"), environment, in_time)


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Trap:
    return new(tmp_path_factory, environment)


@pytest.fixture
def new_trap(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Trap:
    return new(tmp_path_factory, environment)


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    with Local(solve=Role(count=2), train=Role(count=1)).open() as opened:
        yield opened


def workers(cluster: Cluster, role: str) -> dict[str, int]:
    """Process ids of the workers of a role, by address."""
    addresses = [address for address, worker in cluster.known().items() if worker["resources"].get(role)]
    return cluster.client.run(os.getpid, workers=addresses, on_error="ignore") if addresses else {}


def wait_until(
    condition: Callable[[], bool], driver: subprocess.Popen[str] | None = None, give_up: float | None = None
) -> None:
    """Poll a condition; fail where the driver ends before it holds, or after `PATIENCE`."""
    deadline = time.monotonic() + (give_up or PATIENCE)
    while not condition():
        if driver is not None and driver.poll() is not None:
            pytest.fail(f"the driver ended with {driver.returncode}: {driver.communicate()[1]}")
        if time.monotonic() > deadline:
            if give_up is None:
                pytest.fail(f"waited for {PATIENCE} seconds")
            return
        time.sleep(0.05)
