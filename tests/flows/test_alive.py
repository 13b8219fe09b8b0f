"""What becomes of a run whose machine dies or stands still; with a real server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest
from prefect import State
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.states import Completed, Pending, Running

from ritz.flows.serving.alive import SILENCE, SILENT
from ritz.flows.serving.automations import watched
from tests.patience import until
from tests.served import client_of

DRIVER = """
import sys, time
from ritz.flows.serving.alive import beating
with beating(sys.argv[1]):
    print(flush=True)
    time.sleep(float("600"))
"""


@pytest.fixture(scope="module")
def client(environment: dict[str, str]) -> Iterator[SyncPrefectClient]:
    with client_of(environment), get_client(sync_client=True) as client:
        yield client


@contextmanager
def silent_after(client: SyncPrefectClient, silence: float) -> Iterator[UUID]:
    """Have a deployment whose runs are watched meanwhile."""
    deployment = client.create_deployment(client.create_flow_from_name("ritz"), f"small-{uuid4().hex}")
    automation = client.create_automation(watched(silence))
    # The server evaluates an automation from a moment after it was made.
    time.sleep(2)
    try:
        yield deployment
    finally:
        client.delete_automation(automation)
        client.delete_deployment(deployment)


def running(client: SyncPrefectClient, deployment: UUID) -> UUID:
    run = client.create_flow_run_from_deployment(deployment)
    states: tuple[State[None], ...] = (Pending(), Running())
    for begun in states:
        client.set_flow_run_state(run.id, begun, force=True)
    return run.id


@contextmanager
def driven(run: UUID, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Have a process at a run meanwhile that gives signs of life."""
    command = [sys.executable, "-c", DRIVER, str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def state(client: SyncPrefectClient, run: UUID) -> State[None]:
    found = client.read_flow_run(run).state
    assert found is not None
    return found


def crashed(client: SyncPrefectClient, run: UUID) -> bool:
    return state(client, run).is_crashed()


def test_a_run_whose_machine_dies_ends_with_a_reason_and_one_that_stood_still_goes_on(
    client: SyncPrefectClient, environment: dict[str, str]
) -> None:
    # Prefect's least.
    with silent_after(client, 10) as deployment:
        dead, still, done = [running(client, deployment) for _ in range(3)]
        with driven(still, environment) as process:
            with driven(dead, environment), driven(done, environment):
                # Their first signs of life.
                time.sleep(2)
            os.kill(process.pid, signal.SIGSTOP)
            client.set_flow_run_state(done, Completed(), force=True)
            until(lambda: crashed(client, dead) and crashed(client, still))
            assert state(client, dead).message == SILENT
            assert state(client, done).is_completed()
            os.kill(process.pid, signal.SIGCONT)
            went_on = until(lambda: [one for one in [state(client, still)] if one.is_running() and one.message])[0]
            assert went_on.message == "goes on: it was taken for dead, and was not"


@pytest.mark.soak
def test_a_run_whose_machine_dies_ends_within_a_minute(client: SyncPrefectClient, environment: dict[str, str]) -> None:
    with silent_after(client, SILENCE) as deployment:
        run = running(client, deployment)
        with driven(run, environment) as process:
            # It lives for longer than the silence that is one.
            time.sleep(SILENCE + 20)
            assert state(client, run).is_running()
            os.kill(process.pid, signal.SIGKILL)
            killed = time.monotonic()
            until(lambda: crashed(client, run))
            print(f"ended {time.monotonic() - killed:.1f} s after its process was killed")
        assert time.monotonic() - killed < 60
        assert state(client, run).message == SILENT
