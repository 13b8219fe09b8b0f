"""A store that cannot be written: one line says so, nothing is damaged, and the same command goes on when it can."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from distributed import Worker

from ritz.compute.cluster.cluster import Cluster
from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.errors import StorageError
from ritz.storage.reading import read
from ritz.storage.shards import write_shard
from ritz.storage.store import Store
from tests.attached import profile
from tests.command import RITZ, ritz, started
from tests.faults.conftest import AGAIN, PROBES, SHARD, SHARDS, Trap, new, wait_until, workers
from tests.faults.writer import describe, fields
from tests.storage.fields import ledger

pytestmark = pytest.mark.slow

BOUND = 60
"""Seconds after which a command that cannot go on must have ended; it takes a few."""


@pytest.fixture
def attached(cluster: Cluster) -> tuple[str, str]:
    return "--profile", profile(cluster)


def one_line(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """Find the one line that says why a command has failed."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("ritz: ")]
    assert said == done.stderr.splitlines()[-1:]
    for part in parts:
        assert part in said[0]


def whole(trap: Trap, committed: set[int]) -> None:
    """Find these shards in the dataset, whole and right, and nothing of the others."""
    assert trap.dataset().committed() == committed
    data = read(trap.store, "tiny@head", ("ok", "failed", "absent")).load()
    there = np.repeat(np.isin(np.arange(SHARDS), list(committed)), SHARD)
    np.testing.assert_array_equal(data["status"], there)
    drawn = trap.pipeline.problem.draw(0, data["sample_id"].values)["a"]
    np.testing.assert_array_equal(data["a"], np.where(there[:, None, None], drawn, np.float32(np.nan)))
    np.testing.assert_array_equal(np.isfinite(data["u"].values).all(axis=(1, 2)), there)
    assert trap.commits() == dict.fromkeys(committed, 1)


def goes_on(trap: Trap, arguments: tuple[str, ...]) -> None:
    """The same command finds what was committed and does the rest."""
    done = ritz(*arguments, env=trap.environment)
    assert done.returncode == 0, done.stderr
    whole(trap, set(range(SHARDS)))
    assert [version.version for version in trap.dataset().versions()] == ["v1"]


def disturbed(trap: Trap, arguments: tuple[str, ...], shards: int, disturb: Callable[[int], None]) -> set[int]:
    """Start a command, disturb it (given its process id) when so many shards are committed; return which these are.

    The command is expected to end, and what it says on stderr to be one line; see `one_line`.
    """
    with started(RITZ, *arguments, env=trap.environment) as driver:
        done = trap.committed()
        with trap.gated((AGAIN if done else PROBES) + shards - done):
            wait_until(lambda: trap.committed() == shards, driver)
            committed = trap.dataset().committed()
            disturb(driver.pid)
        said, errors = driver.communicate(timeout=BOUND)
    one_line(subprocess.CompletedProcess(arguments, driver.returncode, said, errors), trap.store.url)
    return committed


def limited(pids: list[int], size: int) -> None:
    """Let processes write no file longer than some bytes; ``RLIM_INFINITY`` takes it back."""
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def executing(dask_worker: Worker) -> int:
    """How many tasks a worker is at, also such as nobody waits for any more."""
    return len(dask_worker.state.executing) + len(dask_worker.state.long_running)


@pytest.mark.soak
def test_files_that_cannot_grow_end_a_run_and_damage_nothing(new_trap, cluster, attached):
    """No mount is needed for this: the kernel refuses the bytes as a full disk does, with another number."""
    trap, arguments = new_trap, generate(new_trap, attached)
    solvers = list(workers(cluster, "solve").values())

    def limit_solvers(driver: int) -> None:
        limited(solvers, 600)

    try:
        committed = disturbed(trap, arguments, 3, limit_solvers)
    finally:
        limited(solvers, resource.RLIM_INFINITY)
    whole(trap, committed)
    assert len(committed) == 3
    # A block that the first run left on a slow worker would take a token from the second.
    wait_until(lambda: not any(cluster.client.run(executing).values()))
    committed = disturbed(trap, arguments, 5, lambda driver: limited([driver], 600))
    whole(trap, committed)
    goes_on(trap, arguments)


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Trap]:
    """A trap whose store is a file system of its own, of a megabyte."""
    trap = new(tmp_path_factory, environment)
    Path(trap.store.url).mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", trap.store.url], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield trap
    subprocess.run(["umount", "--lazy", trap.store.url], check=True)


@pytest.mark.soak
def test_a_full_disk_ends_a_run_and_damages_nothing(small_disk, attached):
    trap, arguments = small_disk, generate(small_disk, attached)
    ballast = Path(trap.store.url) / "ballast"

    def fill(driver: int) -> None:
        with ballast.open("ab", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(4096))
                except OSError:
                    return

    committed = disturbed(trap, arguments, 3, fill)
    whole(trap, committed)
    # What could not be written whole was taken away again.
    fill(0)
    assert shutil.disk_usage(trap.store.url).free == 0
    refused = ritz(*arguments, env=trap.environment)
    one_line(refused, trap.store.url, "No space left on device")
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", trap.store.url], check=True)
    goes_on(trap, arguments)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["generate", "run"])
def test_a_store_that_vanishes_ends_a_run_and_can_be_brought_back(new_trap, attached, name):
    trap, arguments = new_trap, (name, *new_trap.command(*attached)[1:])
    store, away = Path(new_trap.store.url), Path(new_trap.store.url).with_name("away")

    def vanish(driver: int) -> None:
        store.rename(away)

    committed = disturbed(trap, arguments, 3, vanish)
    # Nobody has made it anew, by whatever was to be written at the end of the run.
    time.sleep(1)
    assert not store.exists()
    away.rename(store)
    whole(trap, committed)
    goes_on(trap, arguments)


@pytest.fixture
def without_rights() -> tuple[str, ...]:
    """How to start a command that may not write where it has no right to."""
    if os.geteuid():
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("the superuser may write everywhere, and there is no setpriv to take that away")
    return "setpriv", "--bounding-set=-dac_override,-dac_read_search"


def test_a_store_that_is_read_only_is_refused_and_can_be_read(tmp_path, without_rights):
    store = Store(tmp_path / "store")
    dataset = Committer.ensure(store, "tiny", **describe())
    with dataset.lock():
        dataset.commit({3: (write_shard(dataset.fork(), 3, fields(3), ledger(3)), ledger(3))})
        dataset.publish("one shard")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    folders = [path for path in (tmp_path / "store", *tmp_path.rglob("*")) if path.is_dir()]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    for path in (*files, *folders):
        path.chmod(0o444 if path.is_file() else 0o555)
    try:
        for line in ("generate darcy", "run darcy"):
            done = run(*without_rights, RITZ, *line.split(), "--store", store.url)
            one_line(done, f"cannot write {store.url}: Permission denied")
        shown = run(*without_rights, RITZ, "show", "tiny@v1", "--store", store.url)
        assert shown.returncode == 0, shown.stderr
        assert "version: v1" in shown.stdout
        listed = run(*without_rights, RITZ, "datasets", "--store", store.url)
        assert listed.returncode == 0, listed.stderr
        assert "tiny" in listed.stdout
    finally:
        for path in folders:
            path.chmod(0o755)
    np.testing.assert_array_equal(read(store, "tiny")["u"], fields(3)["u"])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_store_whose_place_is_taken_is_refused(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "datasets").write_text("not a folder")
    with pytest.raises(StorageError, match=r"store/datasets/.*(Not a directory|File exists)"):
        Committer.ensure(Store(tmp_path / "store"), "tiny", **describe())
    assert (tmp_path / "store" / "datasets").read_text() == "not a folder"


def test_two_commands_on_a_new_dataset_at_once_are_one_run(new_trap, attached):
    trap, arguments = new_trap, generate(new_trap, attached)
    first, second = (started(RITZ, *arguments, env=trap.environment) for _ in range(2))
    with trap.gated(0), first as one, second as other:
        wait_until(lambda: one.poll() is not None or other.poll() is not None)
        refused, works = (one, other) if one.poll() is not None else (other, one)
        said, errors = refused.communicate()
        done = subprocess.CompletedProcess(arguments, refused.returncode, said, errors)
        one_line(done, f"dataset 'tiny' in {trap.store.url} is in use by process {works.pid} on ")
        # And one that comes later.
        one_line(ritz(*arguments, env=trap.environment), f"is in use by process {works.pid} on ")
        trap.let_through(PROBES + SHARDS)
        said, errors = works.communicate(timeout=BOUND)
    assert works.returncode == 0, errors
    whole(trap, set(range(SHARDS)))
    assert [version.samples for version in Dataset.open(trap.store, "tiny").versions()] == [SHARD * SHARDS]


def generate(trap: Trap, attached: tuple[str, ...]) -> tuple[str, ...]:
    return "generate", *trap.command(*attached)[1:]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    with started(*command) as process:
        said, errors = process.communicate(timeout=BOUND)
    return subprocess.CompletedProcess(command, process.returncode, said, errors)
