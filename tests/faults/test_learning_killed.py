"""The driver of a solver that tunes itself is killed: what was learnt is gone on from, and each shard is in it once."""

from __future__ import annotations

import json
import os
import signal

import pytest

from ritz.storage import runs
from tests.command import RITZ, ritz, started
from tests.faults.conftest import PROBES, SHARD, SHARDS, Trap, wait_until
from tests.faults.processes import in_group
from tests.faults.trapped import solved

pytestmark = pytest.mark.slow

ARMS = ", ".join(f"{{kind: krylov, preconditioner: {{kind: ilu, fill: {fill}}}}}" for fill in (0, 1, 2))


def test_a_killed_driver_goes_on_from_what_was_learnt(new_trap: Trap) -> None:
    trap = new_trap
    command = trap.command("--set", f"solver={{kind: tuned, arms: [{ARMS}]}}")
    generate = ("generate", *command[1:])
    key = f"learnt/{trap.pipeline.dataset_identity}.json"
    with trap.gated(PROBES + 6), started(RITZ, *generate, env=trap.environment) as driver:
        wait_until(lambda: trap.committed() >= 4, driver)
        os.killpg(driver.pid, signal.SIGKILL)
        wait_until(lambda: not in_group(driver.pid))
    before, committed = trap.store.document(key), trap.dataset().committed()
    assert committed <= set(before["shards"]) < set(range(SHARDS))
    assert sum(before["total"]["count"]) == SHARD * len(before["shards"])
    done = ritz(*command, env=trap.environment)
    assert done.returncode == 0, done.stderr
    after, record = trap.store.document(key), json.loads(done.stdout)
    assert after["shards"] == list(range(SHARDS))
    assert sum(after["total"]["count"]) == SHARD * SHARDS
    # Some samples were solved twice, none is in the sums twice.
    assert len(solved(trap.folder)) > SHARD * SHARDS
    found = record["tuning"]
    assert (found["systems"], len(found["arms"])) == (SHARD * SHARDS, 3)
    assert sum(arm["systems"] for arm in found["arms"]) == SHARD * SHARDS
    assert found["regret"] >= 0
    assert runs.look(trap.store).good[-1] == record
    page = (trap.folder.parent / "store" / "runs" / record["run"] / "report.html").read_text()
    assert "Settings learnt while solving" in page
