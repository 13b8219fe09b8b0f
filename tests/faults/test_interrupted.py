from __future__ import annotations

import json
import os
import re
import signal
import time

import psutil
import pytest

from ritz.storage import runs
from ritz.tasks.driver.signals import SENTENCE
from tests.command import RITZ, ritz, started
from tests.faults.conftest import PROBED, PROBES, SHARD, SHARDS, Trap, wait_until
from tests.faults.processes import alive
from tests.faults.trapped import solved

PROGRESS = re.compile(r"(\d\d:\d\d:\d\d [a-z]+: .*|new store .*)\n")
"""What a run says of its stages."""


@pytest.mark.parametrize(
    ("sent", "group", "code"),
    [
        (signal.SIGINT, True, 130),
        pytest.param(signal.SIGTERM, True, -signal.SIGTERM, marks=pytest.mark.soak),
        pytest.param(signal.SIGINT, False, 130, marks=pytest.mark.soak),
        pytest.param(signal.SIGHUP, True, -signal.SIGHUP, marks=pytest.mark.soak),
    ],
)
def test_a_run_that_is_stopped_while_it_solves_says_one_sentence(
    new_trap: Trap, sent: signal.Signals, group: bool, code: int
) -> None:
    """Twice, as people do; a terminal sends Ctrl-C to all processes of its foreground."""
    trap = new_trap
    with trap.gated(PROBES + 1), started(RITZ, *trap.command(), env=trap.environment) as driver:
        wait_until(lambda: len(solved(trap.folder)) >= PROBED + 3 * SHARD, driver)
        family = psutil.Process(driver.pid).children(recursive=True)
        for _ in range(2):
            (os.killpg if group else os.kill)(driver.pid, sent)
            time.sleep(0.5)
        stdout, stderr = driver.communicate(timeout=60)
        assert driver.returncode == code
        wait_until(lambda: not [process for process in family if alive(process)])
    assert PROGRESS.sub("", stderr) == f"{SENTENCE}\n"
    assert stdout == ""
    [record] = runs.look(trap.store).good
    assert (record["status"], record["error"]) == ("interrupted", f"stopped from outside ({sent.name})")


@pytest.mark.soak
@pytest.mark.parametrize("said", ["", "train: ", "solve: 0", "train: 96 of 96", "evaluate", "quantify", "cost"])
def test_a_run_that_is_stopped_at_any_stage_says_one_sentence_and_goes_on(new_trap: Trap, said: str) -> None:
    trap, arguments = new_trap, new_trap.command()
    with started(RITZ, *arguments, env=trap.environment) as driver:
        assert driver.stderr is not None
        if said:
            assert any(said in line for line in driver.stderr)
        else:
            # Before the first line server and workers start.
            time.sleep(3)
        os.killpg(driver.pid, signal.SIGINT)
        rest = driver.communicate(timeout=60)[1]
        assert driver.returncode == 130
    assert PROGRESS.sub("", rest).endswith(f"{SENTENCE}\n"), rest
    assert "Traceback" not in rest
    assert "leaked" not in rest
    assert {record["status"] for record in runs.look(trap.store).good} <= {"interrupted", "finished"}
    done = ritz(*arguments, env=trap.environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "finished"
    assert trap.commits() == dict.fromkeys(range(SHARDS), 1)
