"""When a stage is tried again, and after how long; with a real flow and server."""

from __future__ import annotations

import logging

import pytest
from prefect import flow

from ritz.compute.cluster.cluster import WorkersLost
from ritz.flows.launch import launch
from ritz.tasks.stage import stage
from tests.served import client_of


def test_a_stage_is_tried_again_when_its_workers_died_and_waits_longer_each_time(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []
    # What other tests have done to logging shall not matter.
    said: list[str] = []
    monkeypatch.setattr(logging.getLogger("ritz"), "warning", lambda text, *of: said.append(text % of))

    @stage("solve")
    def solve(error: type[Exception]) -> int:
        tries.append(error.__name__)
        if len(tries) == 1:
            raise error("every worker died")
        return 3

    assert solve.retries == 3
    assert solve.retry_delay_seconds == [5, 15, 45]
    assert solve.retry_jitter_factor == 0.2
    # The test waits less.
    quick = solve.with_options(retry_delay_seconds=[0.1, 0.2, 0.4])

    @flow
    def run(error: type[Exception]) -> int:
        return quick(error)

    with client_of(environment):
        assert launch(run, WorkersLost) == 3
        assert tries == ["WorkersLost"] * 2
        assert said == ["every worker died; trying the stage again"]
        tries.clear()
        with pytest.raises(ValueError, match="every worker died"):
            launch(run, ValueError)
    assert tries == ["ValueError"]
