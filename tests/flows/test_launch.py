from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext
from prefect.states import Running

from ritz.flows.launch import launch
from ritz.flows.server.api import local_url
from ritz.flows.serving import claims
from ritz.flows.serving.orphans import GONE
from tests.served import client_of, free_port


@pytest.fixture
def client(environment: dict[str, str]) -> Iterator[None]:
    with client_of(environment):
        yield


def forgotten() -> None:
    """Make the server forget the run that asks for it."""
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    with get_client(sync_client=True) as client:
        client.delete_flow_run(context.flow_run.id)


def test_what_the_server_does_not_record_has_come_to_its_end(client: None, caplog: pytest.LogCaptureFixture) -> None:
    @flow
    def failing() -> None:
        forgotten()
        raise ValueError("its own reason")

    @flow
    def working() -> int:
        forgotten()
        return 3

    with pytest.raises(ValueError, match="its own reason"):
        launch(failing)
    assert launch(working) == 3
    lines = [record.message for record in caplog.records if record.name == "ritz"]
    assert len(lines) == 2
    assert all(line.startswith("Prefect's server did not record the end of this run: ") for line in lines)


def test_work_that_fails_raises_its_own_error(client: None, caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("its own reason")

    @flow
    def failing() -> None:
        raise error

    with pytest.raises(ValueError, match="its own reason") as caught:
        launch(failing)
    assert caught.value is error
    assert [record for record in caplog.records if record.name == "ritz"] == []


def test_the_run_of_a_command_that_was_killed_ends_with_the_next_one(client: None) -> None:
    @flow
    def work() -> None:
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        own.append(context.flow_run.id)
        assert claims.held(str(own[0]))

    own: list[UUID] = []
    with get_client(sync_client=True) as server:
        killed, other = (server.create_flow_run(work, state=Running()).id for _ in range(2))
        with claims.claimed(str(other)), claims.claimed(str(killed)):
            pass
        with claims.claimed(str(other)):
            launch(work)
            ends = {run: server.read_flow_run(run).state for run in (killed, other, *own)}
        server.delete_flow_run(other)
    assert {run: (end.type, end.message) for run, end in ends.items() if end is not None} == {
        killed: (StateType.CRASHED, GONE),
        other: (StateType.RUNNING, None),
        own[0]: (StateType.COMPLETED, None),
    }
    assert [claims.known(str(run)) for run in ends] == [False, True, False]
    claims.settle(str(other))


def test_work_that_did_not_begin_has_no_outcome() -> None:
    begun = []

    @flow
    def work() -> None:
        begun.append(True)

    there = {"PREFECT_API_URL": local_url(free_port()), "PREFECT_API_AUTH_STRING": "ritz:key"}
    with client_of(there), pytest.raises(RuntimeError, match="Failed to reach API"):
        launch(work)
    assert begun == []
