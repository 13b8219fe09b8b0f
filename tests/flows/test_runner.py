from __future__ import annotations

import asyncio
from uuid import uuid4

import anyio
import pytest
from prefect.client.schemas.objects import FlowRun

from ritz.flows.serving.claims import held, settle
from ritz.flows.serving.orphans import Watch
from ritz.flows.serving.runner import ServingRunner
from tests.served import client_of


def test_a_run_is_claimed_before_the_server_is_told_that_it_starts(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = FlowRun(id=uuid4(), flow_id=uuid4(), deployment_id=uuid4())
    while_pending = []

    async def pending(flow_run: FlowRun) -> bool:
        while_pending.append(held(str(flow_run.id)))
        return False

    async def submit() -> None:
        async with ServingRunner() as runner:
            # The server knows neither the run nor its deployment.
            monkeypatch.setattr(runner._state_proposer, "propose_pending", pending)
            async with anyio.create_task_group() as group:
                poller = runner._scheduled_run_poller
                await poller._submit_scheduled_flow_runs(flow_run_response=[run], task_group=group)

    with client_of(environment):
        asyncio.run(submit())
    assert while_pending == [True]
    assert not held(str(run.id))
    settle(str(run.id))


def test_a_fault_of_the_watch_ends_the_service(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Faulty(Watch):
        async def keep(self) -> None:
            await asyncio.sleep(0.1)
            raise KeyError("a fault")

    with client_of(environment), pytest.raises(KeyError, match="fault"):
        asyncio.run(ServingRunner().serve(Faulty({}, "store", all_here=False)))
