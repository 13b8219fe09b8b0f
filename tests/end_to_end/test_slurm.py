"""Runs on a real Slurm: jobs of workers are cancelled and expire, and the driver's own job is requeued."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ritz.compute.cluster.batch.batch import JobRole
from ritz.compute.cluster.batch.slurm import Slurm
from ritz.compute.cluster.errors import ClusterError
from ritz.storage import runs
from ritz.storage.reading import read
from ritz.tasks.generation.generate import generate
from tests.command import RITZ
from tests.faults.conftest import PROBES, SHARDS, Trap, new
from tests.faults.conftest import environment as environment  # with the kind `trapped`
from tests.patience import PATIENCE, until
from tests.require import require
from tests.slurm import command, jobs, restarts, running

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs" / "cluster.md"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a Slurm of the tests."""
    require("slurm")
    with running(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


def documented(line: str) -> str:
    """Return the script of the documentation with another command in it."""
    (script,) = re.findall(r"```bash\n(#!/bin/bash\n.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    command_of_docs = "ritz run darcy --profile slurm.yaml --store /shared/ritz"
    assert script.count(command_of_docs) == 1
    return script.replace(command_of_docs, line)


@dataclass(frozen=True)
class Story:
    """What became of a run whose driver and workers are jobs.

    Attributes
    ----------
    record
        What the command printed at its end.
    cancelled, after
        Job of a worker that was cancelled, and the jobs of its role afterwards.
    before
        Shards that were committed when the driver was told to end.
    """

    trap: Trap
    record: dict[str, Any]
    cancelled: str
    after: set[str]
    before: int
    out: str
    folder: Path


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], slurm: dict[str, str]) -> Story:
    """Run the script of the documentation: a worker's job is cancelled, then the walltime of the driver ends."""
    trap, folder = new(tmp_path_factory, environment), tmp_path_factory.mktemp("jobs")
    profile, printed, out = folder / "slurm.yaml", folder / "record.json", folder / "out"
    profile.write_text(f"{{kind: slurm, interface: lo, solve: {{count: 2}}, folder: {folder / 'shared'}}}")
    line = f"{shlex.join([RITZ, *trap.command('--profile', str(profile))])} > {printed}"
    (folder / "job.sh").write_text(documented(line))
    where = {**trap.environment, "SLURM_CONF": slurm["SLURM_CONF"]}
    with trap.gated(PROBES + 4):
        driver = command(where, "sbatch", "--parsable", f"--output={out}", str(folder / "job.sh"))
        until(lambda: trap.committed() >= 2)
        first = jobs(where, "ritz-solve")
        cancelled = min(first)
        command(where, "scancel", cancelled)
        after = until(lambda: (now := set(jobs(where, "ritz-solve"))) - set(first) and now)
        before = trap.committed()
        command(where, "scancel", "--signal=TERM", "--batch", driver)
        until(lambda: [record for record in runs.look(trap.store).good if record["status"] == "interrupted"])
    until(lambda: driver not in command(where, "squeue", "-h", "-o", "%A").split())
    assert restarts(where, driver) == 1
    assert printed.read_text(), out.read_text()
    return Story(trap, json.loads(printed.read_text()), cancelled, set(after), before, out.read_text(), folder)


def test_a_run_completes_though_a_worker_is_cancelled_and_the_driver_requeued(story: Story) -> None:
    assert story.record["status"] == "finished"
    assert story.trap.commits() == dict.fromkeys(range(SHARDS), 1)
    ids = read(story.trap.store, "tiny")["sample_id"].values
    np.testing.assert_array_equal(np.sort(ids), np.arange(160))


def test_the_job_of_a_worker_that_was_cancelled_is_replaced(story: Story) -> None:
    assert story.cancelled not in story.after
    assert len(story.after) == 2
    assert f"job {story.cancelled} of Slurm, a solve worker, has ended and is replaced" in story.out


def test_the_driver_whose_walltime_ends_is_requeued_and_goes_on(story: Story) -> None:
    first, second = runs.look(story.trap.store).good
    assert (first["status"], first["error"]) == ("interrupted", "stopped from outside (SIGTERM)")
    assert second["status"] == "finished"
    assert first["identity"] == second["identity"]
    assert 2 <= story.before <= second["ledger"]["reused"] / 8 < SHARDS
    assert "committed work is kept, the same command goes on from there" in story.out
    spent, usage = first["usage"], second["usage"]
    assert (usage["attempts"], usage["nodes"]) == (2, 1)
    assert usage["workers"] >= spent["workers"] + 3
    assert usage["core_hours"] > spent["core_hours"] > 0


@pytest.mark.parametrize(("signal", "requeued"), [(("--signal=TERM", "--batch"), 1), ((), 0)])
def test_the_script_requeues_a_job_whose_walltime_ends_and_none_that_is_cancelled(
    signal: tuple[str, ...], requeued: int, slurm: dict[str, str], tmp_path: Path
) -> None:
    script, begun = tmp_path / "job.sh", tmp_path / "begun"
    script.write_text(documented(f"sh -c 'trap \"exit 75\" TERM; echo >> {begun}; while :; do sleep 0.1; done'"))
    number = command(slurm, "sbatch", "--parsable", f"--output={tmp_path / 'out'}", str(script))
    until(begun.exists)
    command(slurm, "scancel", *signal, number)
    if requeued:
        until(lambda: restarts(slurm, number) == 1)
        command(slurm, "scancel", number)
    else:
        until(lambda: number not in command(slurm, "squeue", "-h", "-o", "%A").split())
        assert restarts(slurm, number) == 0


@pytest.mark.soak
def test_the_script_requeues_a_job_before_its_real_walltime(slurm: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    text = documented("sh -c 'trap \"exit 75\" TERM; while :; do sleep 0.1; done'")
    assert text.count("--time=12:00:00") == 1
    script.write_text(text.replace("--time=12:00:00", "--time=00:02:00"))
    number, start = (
        command(slurm, "sbatch", "--parsable", f"--output={tmp_path / 'out'}", str(script)),
        time.monotonic(),
    )
    until(lambda: restarts(slurm, number) == 1)
    assert 20 < time.monotonic() - start < 100, "a minute before the end of two, and up to another one earlier"
    command(slurm, "scancel", number)


def test_no_key_is_left_behind(story: Story) -> None:
    assert list((story.folder / "shared").iterdir()) == []


def test_a_worker_of_another_version_is_refused_by_name(
    slurm: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", slurm["SLURM_CONF"])
    metadata = tmp_path / "other" / "numpy-1.0.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    profile = Slurm(
        solve=JobRole(count=1),
        interface="lo",
        folder=tmp_path / "jobs",
        prologue=(f"export PYTHONPATH={tmp_path / 'other'}",),
    )
    said = (
        rf"^profile: worker solve-0 at tls://\S+ has numpy 1.0, expected {re.escape(np.__version__)}, as this process"
    )
    with pytest.raises(ClusterError, match=said), profile.open(("solve",)):
        pass
    assert not list((tmp_path / "jobs").rglob("*.pem"))


def _pace(trap: Trap, environment: dict[str, str], first: set[str], pause: float) -> None:
    """Let a block through from time to time until all of the first jobs have ended, and then the others."""
    deadline = time.monotonic() + PATIENCE
    while first & set(jobs(environment, "ritz-solve")) and time.monotonic() < deadline:
        trap.let_through(1)
        time.sleep(pause)
    trap.let_through(3 * SHARDS)


@pytest.mark.parametrize(
    ("margin", "pause"), [(40.0, 1.0), pytest.param(1.0, 4.0, marks=pytest.mark.soak)], ids=["early", "walltime"]
)
def test_every_sample_is_solved_once_though_the_walltime_is_shorter_than_the_run(
    margin: float,
    pause: float,
    tmp_path_factory: pytest.TempPathFactory,
    environment: dict[str, str],
    slurm: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Workers leave after 20 s, or after a minute."""
    monkeypatch.setenv("SLURM_CONF", slurm["SLURM_CONF"])
    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])
    trap = new(tmp_path_factory, environment)
    profile = Slurm(
        solve=JobRole(count=2), walltime="00:01:00", margin=margin, interface="lo", folder=trap.folder.parent / "jobs"
    )
    with ThreadPoolExecutor(1) as pool, trap.gated(PROBES), profile.open(("solve",)) as cluster:
        first = set(jobs(slurm, "ritz-solve"))
        pace = pool.submit(_pace, trap, slurm, first, pause)
        generate.fn(trap.pipeline, trap.store.url, cluster)
        pace.result()
        assert not first & set(jobs(slurm, "ritz-solve"))
        assert cluster.usage().workers >= 3
    assert trap.commits() == dict.fromkeys(range(SHARDS), 1)
    np.testing.assert_array_equal(np.sort(read(trap.store, "tiny")["sample_id"].values), np.arange(160))
