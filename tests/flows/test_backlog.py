"""Of twenty runs that a schedule brought while nothing was up, one runs; with a real server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.client.schemas.sorting import FlowRunSort

from ritz.flows.serving.backlog import missed, stands_for
from ritz.flows.serving.runner import ServingRunner
from tests.served import client_of


def _due(run: FlowRun) -> datetime:
    assert run.expected_start_time is not None
    return run.expected_start_time


def run(minutes: float, deployment: UUID, scheduled: bool = True) -> FlowRun:
    """A run that was due so many minutes ago."""
    due = datetime.now(UTC) - timedelta(minutes=minutes)
    return FlowRun(
        id=uuid4(),
        flow_id=uuid4(),
        name=f"due-{minutes:g}",
        deployment_id=deployment,
        auto_scheduled=scheduled,
        expected_start_time=due,
    )


def test_the_last_run_of_each_schedule_stands_for_those_that_were_missed() -> None:
    one, other = uuid4(), uuid4()
    backlog = [run(minutes, one) for minutes in range(1, 21)]
    asked, future, alone = run(9, one, scheduled=False), run(-5, one), run(60, other)
    wanted, instead = missed([*reversed(backlog), asked, future, alone])
    assert {one.id for one in wanted} == {backlog[0].id, asked.id, future.id, alone.id}
    assert instead == {late.id: backlog[0] for late in backlog[1:]}


def test_one_run_of_a_backlog_is_started_and_the_others_say_which(environment: dict[str, str]) -> None:
    async def look() -> None:
        async with get_client() as client:
            flow = await client.create_flow_from_name("ritz")
            every = DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(seconds=1)))
            deployment = await client.create_deployment(flow, f"small-{uuid4().hex}", schedules=[every])
            here = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]))

            async def due() -> list[FlowRun]:
                found = await client.read_flow_runs(flow_run_filter=here, sort=FlowRunSort.EXPECTED_START_TIME_ASC)
                return [one for one in found if _due(one) < datetime.now(UTC)]

            # Nothing is up that would run them.
            for _ in range(60):
                if len(backlog := await due()) >= 5:
                    break
                await asyncio.sleep(1)
            later = await asyncio.to_thread(other_than, backlog[0])
            assert later is not None
            assert _due(later) > _due(backlog[0])

            async with ServingRunner() as runner:
                poller = runner._scheduled_run_poller
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(poller._deployment_registry, "get_deployment_ids", lambda: {deployment})
                    # With what is due in the next seconds.
                    first, *ahead = sorted(await poller._get_scheduled_flow_runs(), key=_due)
            assert all(_due(one) > _due(first) for one in ahead)
            passed = [one for one in await due() if _due(one) < _due(first)]
            assert len(passed) >= 4
            for one in passed:
                assert one.state is not None
                assert one.state.name == "Cancelled"
                assert one.state.message is not None
                assert f"; run {first.name}, due at " in one.state.message
            await client.delete_deployment(deployment)

    def other_than(run: FlowRun) -> FlowRun | None:
        with get_client(sync_client=True) as client:
            return stands_for(client, run)

    with client_of(environment):
        asyncio.run(look())
