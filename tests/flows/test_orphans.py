"""Which flow runs are ended, and which are left alone; with a real server, and claims of real processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import (
    ConcurrencyLimitStrategy,
    ConcurrencyOptions,
    FlowRun,
    State,
    StateType,
)
from prefect.states import Cancelling, Pending, Running, Scheduled

from ritz.flows.serving.claims import claimed, known
from ritz.flows.serving.orphans import GONE, Watch
from ritz.storage import runs
from ritz.storage.store import Store
from ritz.tasks.documents.records import VANISHED, run_lock
from tests.documents import finished as finished_run
from tests.served import client_of

HOLDER = (
    "import sys, time; from ritz.flows.serving.claims import hold; "
    "hold(sys.argv[1]); print(flush=True); time.sleep(600)"
)


@pytest.fixture(scope="module")
def server(environment: dict[str, str]) -> Iterator[None]:
    with client_of(environment):
        yield


class Service:
    """A deployment on a server, its runs, and the watch over them."""

    def __init__(self, client: PrefectClient, store: Path) -> None:
        self.client, self.store = client, store
        self.deployment = UUID(int=0)

    async def register(self) -> UUID:
        @flow(name="ritz")
        def nothing() -> None: ...

        flow_id = await self.client.create_flow(nothing)
        self.deployment = await self.client.create_deployment(
            flow_id,
            f"small-{uuid4().hex}",
            concurrency_limit=1,
            concurrency_options=ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
        )
        return self.deployment

    def watch(self, all_here: bool = False) -> Watch:
        return Watch({self.deployment: "small"}, str(self.store), all_here)

    async def run(self, *states: State[None], claim: bool = True) -> FlowRun:
        """Create a run that no process is at, in the last of some states."""
        run = await self.client.create_flow_run_from_deployment(self.deployment)
        if claim:
            with claimed(str(run.id)):
                pass
        for state in states:
            await self.client.set_flow_run_state(run.id, state)
        return run

    async def state(self, run: FlowRun) -> State[None]:
        state = (await self.client.read_flow_run(run.id)).state
        assert state is not None
        return state

    async def slots(self) -> int:
        deployment = await self.client.read_deployment(self.deployment)
        assert deployment.global_concurrency_limit is not None
        return deployment.global_concurrency_limit.active_slots


async def look(watch: Watch, client: PrefectClient, times: int = 2) -> None:
    for _ in range(times):
        await watch._end_orphans(client)
        await watch._call_the_next(client)


@pytest.fixture
def alone(server: None, tmp_path: Path) -> Callable[[Callable[[Service], Awaitable[None]]], None]:
    """Does something with a deployment of its own."""

    def within(do: Callable[[Service], Awaitable[None]]) -> None:
        async def with_client() -> None:
            async with get_client() as client:
                service = Service(client, tmp_path / "store")
                await service.register()
                await do(service)

        asyncio.run(with_client())

    return within


Alone = Callable[[Callable[[Service], Awaitable[None]]], None]


@pytest.mark.parametrize(
    ("states", "end"),
    [
        ((Pending(), Running()), StateType.CRASHED),
        ((Pending(),), StateType.CRASHED),
        ((Pending(), Running(), Cancelling()), StateType.CANCELLED),
    ],
    ids=["running", "pending", "cancelling"],
)
def test_a_run_that_no_process_is_at_is_ended_and_the_next_is_called(
    alone: Alone, states: tuple[State[None], ...], end: StateType
) -> None:
    async def do(service: Service) -> None:
        dead = await service.run(*states)
        waiting = await service.run(Pending())
        assert (await service.state(waiting)).name == "AwaitingConcurrencySlot"
        assert await service.slots() == 1
        watch = service.watch()
        await look(watch, service.client, 1)
        # One look is not enough: its process may have been about to tell the server how it ended.
        assert (await service.state(dead)).type == states[-1].type
        await look(watch, service.client)
        ended = await service.state(dead)
        assert (ended.type, ended.message) == (end, GONE)
        assert not known(str(dead.id))
        assert await service.slots() == 0
        assert (await service.state(waiting)).name == "Scheduled"
        await service.client.set_flow_run_state(waiting.id, Pending())
        assert (await service.state(waiting)).type == StateType.PENDING

    alone(do)


def test_a_run_that_another_process_is_at_is_left_alone_until_that_is_killed(alone: Alone) -> None:
    async def do(service: Service) -> None:
        run = await service.run(Pending(), Running())
        with subprocess.Popen([sys.executable, "-c", HOLDER, str(run.id)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            watch = service.watch(all_here=True)
            await look(watch, service.client, 4)
            assert (await service.state(run)).type == StateType.RUNNING
            process.kill()
            process.wait()
        await look(watch, service.client)
        assert (await service.state(run)).type == StateType.CRASHED

    alone(do)


def test_runs_of_other_machines_and_of_others_deployments_are_left_alone(alone: Alone) -> None:
    async def do(service: Service) -> None:
        elsewhere = await service.run(Pending(), Running(), claim=False)
        others = Service(service.client, service.store)
        await others.register()
        foreign = await others.run(Pending(), Running())
        with claimed(unknown := str(uuid4())):
            pass
        await look(service.watch(), service.client, 4)
        assert (await service.state(elsewhere)).type == StateType.RUNNING
        assert (await others.state(foreign)).type == StateType.RUNNING
        # What its own `ritz serve` will know it by.
        assert known(str(foreign.id))
        assert known(unknown)
        await look(others.watch(), service.client)
        assert (await others.state(foreign)).type == StateType.CRASHED

    alone(do)


def test_a_run_from_before_there_were_claims_is_ended_where_all_runs_are_this_machine_s(alone: Alone) -> None:
    async def do(service: Service) -> None:
        old = await service.run(Pending(), Running(), claim=False)
        watch = service.watch(all_here=True)
        await look(watch, service.client)
        assert (await service.state(old)).type == StateType.CRASHED
        assert await service.slots() == 0
        # What comes later without a claim, comes from elsewhere.
        new = await service.run(Pending(), Running(), claim=False)
        await look(watch, service.client, 3)
        assert (await service.state(new)).type == StateType.RUNNING

    alone(do)


@pytest.mark.parametrize(
    "state", [Scheduled(scheduled_time=datetime.now(UTC) + timedelta(days=1)), None], ids=["to come", "at its end"]
)
def test_the_claim_of_a_run_that_needs_no_process_is_settled(alone: Alone, state: State[None] | None) -> None:
    async def do(service: Service) -> None:
        run = await service.run(*([state] if state else [Pending(), Running(), Cancelling()]))
        if state is None:
            await service.client.set_flow_run_state(run.id, State(type=StateType.CANCELLED), force=True)
        before = await service.state(run)
        await look(service.watch(), service.client)
        assert not known(str(run.id))
        assert (await service.state(run)).id == before.id

    alone(do)


def test_a_run_ends_as_its_record_says(alone: Alone) -> None:
    def record(run: str, status: str) -> dict[str, object]:
        paths = {"report": "/store/report.html", "store": "/store"}
        model = {"name": "small", "version": "v1", "released": False}
        made = finished_run(run=run, status=status, recipe={"name": "small"}, model=model, paths=paths)
        return made.document()

    async def do(service: Service) -> None:
        store = Store(service.store)
        finished, killed = await service.run(Pending(), Running()), None
        runs.save(store, finished.name, record(finished.name, "finished"))
        watch = service.watch()
        await look(watch, service.client)
        ended = await service.state(finished)
        assert ended.type == StateType.COMPLETED
        assert ended.message == "small@v1, not released, relative L2 0.25; report: /store/report.html"

        killed = await service.run(Pending(), Running())
        runs.save(store, killed.name, record(killed.name, "running"))
        await look(watch, service.client)
        assert (await service.state(killed)).type == StateType.CRASHED
        assert runs.load(store, killed.name)["status"] == "failed"
        assert runs.load(store, killed.name)["error"] == VANISHED

        # Another run of the recipe is at work, which has closed the records that were left.
        last = await service.run(Pending(), Running())
        runs.save(store, last.name, record(last.name, "running"))
        with store.lock(run_lock("small"), "run of 'small'"):
            await look(watch, service.client)
        assert (await service.state(last)).type == StateType.CRASHED
        assert runs.load(store, last.name)["status"] == "running"

    alone(do)


def test_a_triggered_run_waits_and_a_scheduled_one_is_dropped_with_a_reason(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def do(service: Service) -> None:
        going = await service.run(Pending(), Running())
        with claimed(str(going.id)):
            triggered, ticked = await service.run(Pending()), await service.run(Pending())
            read = service.client.read_flow_runs

            async def scheduled(**arguments: object) -> list[FlowRun]:
                # Only the server's scheduler makes runs that are scheduled by themselves.
                found = await read(**arguments)  # type: ignore[arg-type]
                return [run.model_copy(update={"auto_scheduled": run.id == ticked.id}) for run in found]

            monkeypatch.setattr(service.client, "read_flow_runs", scheduled)
            await look(service.watch(), service.client, 3)
            assert (await service.state(triggered)).name == "AwaitingConcurrencySlot"
            dropped = await service.state(ticked)
            assert dropped.type == StateType.CANCELLED
            assert dropped.message == (
                f"not started: run {going.name} was still going on; the schedule brings the next one"
            )

    alone(do)
