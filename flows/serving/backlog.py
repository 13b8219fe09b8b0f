"""What a schedule brought while nothing was up: the last run of a deployment stands for those that were missed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect import State
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelled


def missed(runs: Iterable[FlowRun]) -> tuple[list[FlowRun], dict[UUID, FlowRun]]:
    """Return which runs are to be started, and by id of those that were missed the one that stands for each.

    Only what a schedule brought and what is due is passed over: runs that somebody asked for are all started.
    """
    now, last = datetime.now(UTC), dict[UUID | None, FlowRun]()
    due = [run for run in runs if run.auto_scheduled and _time(run) <= now]
    for run in sorted(due, key=_time):
        last[run.deployment_id] = run
    instead = {run.id: last[run.deployment_id] for run in due if last[run.deployment_id] is not run}
    return [run for run in runs if run.id not in instead], instead


def stands_for(client: SyncPrefectClient, run: FlowRun) -> FlowRun | None:
    """Return the run of the same schedule that is due too, and later; None without one, and for a run asked for."""
    if not run.auto_scheduled or run.deployment_id is None:
        return None
    found: Sequence[Any] = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[run.deployment_id]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
            expected_start_time=FlowRunFilterExpectedStartTime(after_=_time(run), before_=datetime.now(UTC)),
        ),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
    )
    return next((other for other in found if other.auto_scheduled and _time(other) > _time(run)), None)


def passed_over(run: FlowRun, other: FlowRun) -> State[Any]:
    """Return the state of a run that was missed, and that another stands for."""
    return Cancelled(
        message=f"not started: it was due at {_time(run):%Y-%m-%d %H:%M:%S} UTC and nothing ran it then; "
        f"run {other.name}, due at {_time(other):%Y-%m-%d %H:%M:%S} UTC, stands for it"
    )


def _time(run: FlowRun) -> datetime:
    time = run.expected_start_time
    assert time is not None
    return time.astimezone(UTC)
