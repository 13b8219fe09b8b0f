"""A run that reaches its time limit ends as by SIGTERM: with its work committed, and its reason."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import StateType

from ritz.compute.cluster.cluster import Cluster
from ritz.flows import served
from ritz.flows.serving.binding import VARIABLE, Binding
from ritz.storage import runs
from ritz.storage.datasets import Dataset
from ritz.storage.store import Store
from ritz.tasks.driver.limit import expired, limited
from ritz.tasks.driver.signals import SENTENCE, Stopped
from ritz.tasks.errors import InputError
from tests.attached import profile
from tests.command import SMALL, ritz
from tests.served import client_of


@pytest.mark.parametrize("limit", [4, pytest.param(60, marks=pytest.mark.soak)])
def test_a_run_ends_at_its_limit_with_its_work_committed(
    limit: int, tmp_path: Path, cluster: Cluster, environment: dict[str, str]
) -> None:
    short, store = tmp_path / "short.yaml", tmp_path / "store"
    short.write_text(Path(profile(cluster)).read_text() + f"time_limit: {limit}\n")
    command = ["run", SMALL, "--set", "data.samples=16000", "--set", "data.shard=4", "--store", str(store)]
    done = ritz(*command, "--profile", str(short), env=environment)
    assert done.returncode == -signal.SIGTERM, done.stderr
    reason = f"the time limit of {limit} s is over (profile.time_limit)"
    assert done.stderr.splitlines()[-1] == f"{reason}; {SENTENCE}"
    [record] = runs.look(Store(store)).good
    assert (record["status"], record["error"]) == ("interrupted", reason)
    if limit > 4:
        # The same command goes on from there.
        committed = len(Dataset.open(Store(store), "small").committed())
        assert 0 < committed < 4000
        again = ritz(*command, "--profile", str(short), env=environment)
        assert again.returncode == -signal.SIGTERM, again.stderr
        assert len(Dataset.open(Store(store), "small").committed()) > committed


def test_a_served_run_says_that_its_time_is_over(
    tmp_path: Path, cluster: Cluster, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    short, store, deployment = tmp_path / "short.yaml", tmp_path / "store", str(uuid4())
    short.write_text(Path(profile(cluster)).read_text() + "time_limit: 3\n")
    binding = Binding(SMALL, str(store), str(short))
    monkeypatch.setenv(VARIABLE, json.dumps({deployment: asdict(binding)}))
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", deployment)
    monkeypatch.setattr(served, "bear", lambda _: None)
    with client_of(environment):
        state = served.run_served({"data.samples": 16000, "data.shard": 4}, return_state=True)
    assert (state.type, state.name) == (StateType.FAILED, "TimedOut")
    assert state.message == f"the time limit of 3 s is over (profile.time_limit): {served.KEPT}"
    [record] = runs.look(Store(store)).good
    assert record["status"] == "interrupted"


def test_the_limit_interrupts_the_main_thread_and_leaves_another_handler_as_it_was() -> None:
    taken = []
    before = signal.signal(signal.SIGTERM, lambda number, _: taken.append(number))
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(Stopped, match=r"time limit of 0\.2 s is over"), limited(0.2):
            time.sleep(60)
        assert expired() == "the time limit of 0.2 s is over (profile.time_limit)"
        with limited(60):
            # One that was sent by another is that handler's.
            os.kill(os.getpid(), signal.SIGTERM)
        assert expired() is None
        assert taken == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_limit_outside_of_the_main_thread_is_refused() -> None:
    raised: list[BaseException] = []

    def work() -> None:
        try:
            with limited(1):
                pass
        except InputError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "profile.time_limit is 1 s: expected None" in str(raised[0])
