from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import psutil
import pytest

from ritz.compute.fields.tensors import unpack
from ritz.storage import runs
from ritz.storage.reading import read
from ritz.tasks.documents.records import VANISHED
from ritz.tasks.generation.result import probe_key
from tests.command import RITZ, ritz, started
from tests.faults.conftest import PROBED, PROBES, SHARD, SHARDS, STEPS, Trap, wait_until
from tests.faults.processes import alive, in_group
from tests.faults.trapped import checksums, solved

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Killed:
    """What a run left behind whose whole process group was killed while it generated, and what came after."""

    pid: int
    time: float
    committed: set[int]
    ledger: dict[str, np.ndarray]
    posed: int
    probe: bytes
    checkpoint: bytes
    second: subprocess.CompletedProcess[str]
    run: dict[str, Any]
    record: dict[str, Any]


@pytest.fixture(scope="module")
def killed(trap: Trap) -> Killed:
    with trap.gated(PROBES + 6), started(RITZ, *trap.command(), env=trap.environment) as driver:
        wait_until(lambda: trap.committed() >= 6, driver)
        second = ritz(*trap.command(), env=trap.environment)
        # The trainer writes a checkpoint with the first block that comes when the last one is ten seconds old.
        while not checkpoints(trap) and trap.committed() < SHARDS - 5:
            more = trap.committed() + 1
            trap.let_through(1)
            wait_until(partial(lambda least: trap.committed() >= least, more), driver)
            wait_until(lambda: bool(checkpoints(trap)), driver, give_up=4.0)
        os.killpg(driver.pid, signal.SIGKILL)
        now = time.time()
        wait_until(lambda: not in_group(driver.pid))
        dataset = trap.dataset()
        left: dict[str, Any] = {
            "pid": driver.pid,
            "time": now,
            "committed": dataset.committed(),
            "ledger": dataset.ledger(),
            "posed": len(solved(trap.folder)),
            "probe": trap.store.read(probe_key(trap.pipeline)),
            "checkpoint": checkpoints(trap)[0],
        }
    [run] = runs.look(trap.store).good
    done = ritz(*trap.command(), env=trap.environment)
    assert done.returncode == 0, done.stderr
    return Killed(**left, second=second, run=run, record=json.loads(done.stdout))


@pytest.mark.soak
def test_what_was_committed_is_not_solved_again(killed: Killed, trap: Trap) -> None:
    assert 3 <= len(killed.committed) < SHARDS - 3
    reused = SHARD * len(killed.committed)
    assert killed.record["ledger"]["reused"] == reused
    assert killed.record["ledger"]["solved"] == SHARDS * SHARD - reused
    dataset = trap.dataset()
    kept = np.repeat(np.isin(np.arange(SHARDS), list(killed.committed)), SHARD)
    for name, column in dataset.ledger().items():
        np.testing.assert_array_equal(column[kept], killed.ledger[name][kept], err_msg=name)
    fields = checksums(read(trap.store, "tiny")["a"].values)
    posed_again = {sample for _, sample in solved(trap.folder)[killed.posed :]}
    assert posed_again == {sample for sample, done in zip(fields, kept, strict=True) if not done}


@pytest.mark.soak
def test_the_solver_is_the_one_that_was_chosen(killed: Killed, trap: Trap) -> None:
    assert trap.store.read(probe_key(trap.pipeline)) == killed.probe
    assert json.loads(killed.probe)["choice"] == killed.record["choice"]


@pytest.mark.soak
def test_no_sample_is_missing_or_doubled(killed: Killed, trap: Trap) -> None:
    data = read(trap.store, "tiny")
    assert sorted(data["sample_id"].values) == list(range(SHARDS * SHARD))
    assert len(set(checksums(data["a"].values))) == SHARDS * SHARD
    assert np.isfinite(data["u"].values).all()
    assert trap.commits() == dict.fromkeys(range(SHARDS), 1)


@pytest.mark.soak
def test_the_model_trains_on(killed: Killed, trap: Trap) -> None:
    tensors, header = unpack(killed.checkpoint)
    assert 0 < header["step"] < STEPS
    folder = f"models/tiny/{killed.record['model']['version']}"
    schedule = np.load(io.BytesIO(trap.store.read(f"{folder}/schedule.npy")))
    np.testing.assert_array_equal(schedule[: header["step"]], tensors["schedule"])
    history = json.loads(trap.store.read(f"{folder}/history.json"))
    assert history["curve"][0]["time"] < killed.time < history["curve"][-1]["time"]
    steps = [row["step"] for row in history["curve"]]
    assert steps == sorted(set(steps))
    assert steps[-1] == len(schedule) == killed.record["times"]["steps"] == STEPS
    assert sorted(row["shard"] for row in history["received"]) == list(range(SHARDS))
    early = {row["shard"] for row in history["received"] if row["time"] < killed.time}
    assert early == {shard for shard, _ in header["received"]} <= killed.committed
    assert set(schedule.ravel() % 20) <= set(range(12))


@pytest.mark.soak
def test_its_record_says_that_it_was_killed(killed: Killed, trap: Trap) -> None:
    assert killed.run["status"] == "running"
    assert killed.run["identity"] == killed.record["identity"]
    assert runs.look(trap.store).good == [killed.run | {"status": "failed", "error": VANISHED}, killed.record]


@pytest.mark.soak
def test_a_second_driver_is_refused_and_told_who_works(killed: Killed) -> None:
    assert killed.second.returncode == 2
    assert f"process {killed.pid} on" in killed.second.stderr
    assert "Traceback" not in killed.second.stderr
    assert killed.second.stdout == ""


@pytest.mark.parametrize(
    ("ended_by", "status", "error"),
    [
        (signal.SIGKILL, "running", None),
        (signal.SIGTERM, "interrupted", "stopped from outside (SIGTERM)"),
    ],
)
def test_nothing_stays_behind_when_the_driver_alone_is_ended(
    new_trap: Trap, ended_by: signal.Signals, status: str, error: str | None
) -> None:
    trap = new_trap
    with trap.gated(PROBES + 1), started(RITZ, *trap.command(), env=trap.environment) as driver:
        # The probe, the shard that was let through, and two that wait in the middle of their work.
        wait_until(lambda: len(solved(trap.folder)) >= PROBED + 3 * SHARD, driver)
        family = psutil.Process(driver.pid).children(recursive=True)
        assert {pid for pid, _ in solved(trap.folder)} < {process.pid for process in family}
        driver.send_signal(ended_by)
        assert driver.wait(60) == -ended_by
        wait_until(lambda: not [process for process in family if alive(process)])
    [record] = runs.look(trap.store).good
    assert (record["status"], record.get("error")) == (status, error)


def checkpoints(trap: Trap) -> list[bytes]:
    """The checkpoints of unfinished trainings in the store that have done a step."""
    keys = [f"fits/{fit}/checkpoint.safetensors" for fit in trap.store.list("fits")]
    found = [trap.store.read(key) for key in keys if trap.store.exists(key)]
    return [blob for blob in found if unpack(blob)[1]["step"] > 0]
