"""Ends flow runs that no process is at any more, and starts those that wait for them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import httpx
from prefect import State
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Completed, Crashed, Scheduled

from ritz.flows.naming import sentence
from ritz.flows.serving.claims import given_up, held, known, settle
from ritz.storage.errors import Busy, StorageError, Unknown
from ritz.storage.store import Store
from ritz.tasks.documents.records import close_vanished, finished, load, run_lock
from ritz.tasks.documents.run import RunRecord

log = logging.getLogger("ritz")

LOOK = 2.0
"""Seconds between two looks. What no process holds in two of them is ended."""

AGAIN = 20.0
"""Seconds after which a waiting run whose turn it is, and that has not started, is called again."""

ACTIVE = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
"""States in which a flow run holds the slot of its deployment."""

WAITING = "AwaitingConcurrencySlot"
"""Name of the state of a flow run that waits for the slot."""

GONE = (
    "no process is at this run any more: it was killed, or its machine went down; "
    "committed work is kept, and the next run of the recipe goes on from there"
)


def end_killed() -> None:
    """End the flow runs of commands of this machine that were killed; those of deployments are left to `Watch`."""
    left = given_up()
    if not left:
        return
    try:
        with get_client(sync_client=True) as client:
            for flow_run in left:
                try:
                    run = client.read_flow_run(UUID(flow_run))
                except ObjectNotFound:
                    # Another server's.
                    continue
                if run.deployment_id is None:
                    if run.state is None or run.state.type in ACTIVE:
                        client.set_flow_run_state(run.id, Crashed(message=GONE), force=True)
                    settle(flow_run)
    except (httpx.HTTPError, RuntimeError) as error:
        log.warning("the Prefect server does not answer which runs were killed: %s", str(error) or type(error).__name__)


class Watch:
    """A look at the flow runs of a server's deployments, every few seconds.

    Flow runs are left alone that a process holds, be it of another ``ritz serve``, that were started on another
    machine or under another ``PREFECT_HOME``, where their claims lie, or that belong to deployments served elsewhere.

    Parameters
    ----------
    deployments
        The name of each deployment that is served here, by its id.
    store
        Where their runs are recorded.
    all_here
        Whether every run of the server is one of this ``PREFECT_HOME``. Then those are ended too that were started
        before there were claims.
    """

    def __init__(self, deployments: Mapping[UUID, str], store: str, all_here: bool) -> None:
        self.deployments = dict(deployments)
        self.store = Store(store)
        self._before_claims: set[str] | None = None if all_here else set()
        self._suspects: set[str] = set()
        self._elsewhere: set[str] = set()
        self._called: dict[UUID, float] = {}

    async def keep(self) -> None:
        """Look again and again, until cancelled."""
        silent = False
        async with get_client() as client:
            while True:
                try:
                    await self._end_orphans(client)
                    await self._call_the_next(client)
                    silent = False
                # The client raises the latter where the server does not even tell its version.
                except (httpx.HTTPError, RuntimeError) as error:
                    if not silent:
                        why = str(error) or type(error).__name__
                        log.warning("the Prefect server does not list its runs, asking again: %s", why)
                    silent = True
                await asyncio.sleep(LOOK)

    async def _end_orphans(self, client: PrefectClient) -> None:
        if self._before_claims is None:
            # Once is enough: what starts from here on has a claim.
            self._before_claims = {str(run.id) for run in await self._active(client) if not known(str(run.id))}
        suspects = set()
        for flow_run in ({*given_up()} | self._before_claims) - self._elsewhere:
            run = await self._read(client, flow_run)
            if run is None or run.deployment_id not in self.deployments:
                # Another server's, or of a deployment that others serve; they look after it.
                self._elsewhere.add(flow_run)
            elif run.state is None or run.state.type not in ACTIVE:
                if run.state is not None and run.state.is_crashed():
                    # Its process was killed under a living server of runs, which has ended it.
                    await asyncio.to_thread(self._closed_record, run.name)
                self._settle(flow_run)
            elif flow_run not in self._suspects:
                # Its process may be starting, or its end be under way to the server.
                suspects.add(flow_run)
            elif not held(flow_run):
                await self._end(client, run, run.state)
                self._settle(flow_run)
        self._suspects = suspects

    def _settle(self, flow_run: str) -> None:
        settle(flow_run)
        assert self._before_claims is not None
        self._before_claims.discard(flow_run)

    async def _read(self, client: PrefectClient, flow_run: str) -> FlowRun | None:
        try:
            return await client.read_flow_run(UUID(flow_run))
        except ObjectNotFound:
            return None

    async def _active(self, client: PrefectClient) -> list[FlowRun]:
        state = FlowRunFilterState(type=FlowRunFilterStateType(any_=list(ACTIVE)))
        return await client.read_flow_runs(flow_run_filter=self._here(state))

    def _here(self, state: FlowRunFilterState) -> FlowRunFilter:
        return FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=list(self.deployments)), state=state)

    async def _end(self, client: PrefectClient, run: FlowRun, state: State[Any]) -> None:
        record = await asyncio.to_thread(self._closed_record, run.name)
        if record is not None and record.status == "finished":
            end: State[Any] = Completed(message=sentence(finished(self.store, record)))
        elif state.type == StateType.CANCELLING:
            end = Cancelled(message=GONE)
        else:
            end = Crashed(message=GONE)
        # The slot is free with it, at once.
        await client.set_flow_run_state(run.id, end, force=True)
        assert run.deployment_id is not None
        log.warning("%s, run %s: %s: %s", self.deployments[run.deployment_id], run.name, end.name, end.message)

    def _closed_record(self, name: str) -> RunRecord | None:
        """Return the record of a run that no process is at, None if it did not come to one."""
        try:
            record = load(self.store, name)
            if record.status == "running":
                recipe = record.recipe["name"]
                with self.store.lock(run_lock(recipe), f"run of {recipe!r} in {self.store.url}"):
                    close_vanished(self.store, recipe)
                record = load(self.store, name)
        except Busy:
            # Another run of the recipe is at work, and has closed it.
            pass
        except Unknown:
            # It was killed before it had one.
            return None
        except StorageError as error:
            log.warning("run %s: its record could not be updated: %s", name, error)
            return None
        return record

    async def _call_the_next(self, client: PrefectClient) -> None:
        """Start the first run that waits for a free slot, and drop those that a schedule brought to a taken one.

        By itself a run that waits looks every half minute.
        """
        state = FlowRunFilterState(name=FlowRunFilterStateName(any_=[WAITING]))
        waiting = await client.read_flow_runs(
            flow_run_filter=self._here(state), sort=FlowRunSort.EXPECTED_START_TIME_ASC
        )
        if not waiting:
            return
        active = {run.deployment_id: run for run in await self._active(client)}
        for run in waiting:
            assert run.deployment_id is not None
            other = active.get(run.deployment_id)
            if other is not None and run.auto_scheduled:
                reason = f"not started: run {other.name} was still going on; the schedule brings the next one"
                await client.set_flow_run_state(run.id, Cancelled(message=reason))
                log.warning("%s, run %s: %s", self.deployments[run.deployment_id], run.name, reason)
            elif other is None and time.monotonic() > self._called.get(run.deployment_id, 0.0) + AGAIN:
                self._called[run.deployment_id] = time.monotonic()
                await client.set_flow_run_state(run.id, Scheduled(), force=True)
