from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import PurePath
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import DeploymentStatus, FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.states import Scheduled

from ritz.flows.client import connected
from ritz.flows.naming import RunResult, labelled
from ritz.flows.server.access import ServerError, reached
from ritz.flows.serving.orphans import ACTIVE
from ritz.storage.wording import cut, shown
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.plain import Overrides
from ritz.tasks.pipeline import Pipeline

FLOW = "ritz"
"""Name of the served flow; see `ritz.flows.serving.serve`, which a command that only asks for a run does not load."""

LOOK = 1.0
"""Seconds between two looks whether a run has come to its end."""

SILENCE = 60.0
"""Seconds a server may be away, e.g. to start again, before a run is waited for no longer."""


class Triggered(RunResult):
    """A flow run that was asked for, and what it came to as far as that is known.

    Attributes
    ----------
    flow_run
        Its id.
    state, message
        Name of its state, and what that says.
    waits_for
        Name of the run that had to end first, None without one.
    """

    flow_run: str
    name: str
    state: str | None
    message: str | None
    waits_for: str | None


def trigger(
    recipe: str,
    pipeline: Pipeline | None,
    overrides: Overrides,
    port: int,
    wait: bool,
    say: Callable[[str], None],
) -> Triggered:
    """Start one run of a served recipe.

    Parameters
    ----------
    recipe
        Name or path of a recipe, or the name of a deployment.
    pipeline
        What the recipe is here; None if it is not known here, only to the server.
    overrides
        Dotted path of a field → value.
    port
        Of the server, where ``PREFECT_API_URL`` names none.
    wait
        Whether to return only when the run has come to its end.
    say
        Is given a line about what keeps the run from starting at once, when it has been asked for.

    Raises
    ------
    ServerError
        If no server answers.
    RecipeError
        If it does not serve the recipe, or serves another one than the given file under its name.
    """
    with reached(port, PREFECT_API_URL.value()) as url, connected():
        with get_client(sync_client=True) as client:
            served = _served(client, url, recipe, pipeline)
            before = _active(client, served)
            flow_run = client.create_flow_run_from_deployment(
                served.id,
                # Prefect merges parameters at the top level only: the overrides travel whole.
                parameters={"overrides": overrides},
                state=Scheduled(),
            )
        if before is not None:
            say(f"flow run {flow_run.id} waits for run {before.name} of {FLOW}/{served.name} to end")
        if served.status != DeploymentStatus.READY:
            say(f"no process has asked for runs of {FLOW}/{served.name} lately; is `ritz serve` at work?")
        if wait:
            flow_run = _ended(flow_run.id, url)
    return Triggered(
        flow_run=str(flow_run.id),
        name=flow_run.name,
        state=flow_run.state.name if flow_run.state else "Scheduled",
        message=flow_run.state.message if flow_run.state else None,
        waits_for=before.name if before else None,
        **labelled(flow_run.labels).entries(),
    )


def _ended(flow_run: UUID, url: str) -> FlowRun:
    """Wait for the end of a flow run and return it."""
    heard = time.monotonic()
    while True:
        try:
            with get_client(sync_client=True) as client:
                found = client.read_flow_run(flow_run)
        except (httpx.HTTPError, RuntimeError) as error:
            # The client says so too, by a RuntimeError, where the server does not tell its version.
            if time.monotonic() > heard + SILENCE:
                raise ServerError(
                    f"the Prefect server at {url} answers no more; flow run {flow_run} may have come to its end all "
                    "the same: see `ritz runs`"
                ) from error
        else:
            heard = time.monotonic()
            if found.state is not None and found.state.is_final():
                return found
        time.sleep(LOOK)


def _served(client: SyncPrefectClient, url: str, recipe: str, pipeline: Pipeline | None) -> DeploymentResponse:
    """Return the deployment of a recipe: it bears its `name`, or that of its file where another one has that."""
    is_file = recipe.endswith((".yaml", ".yml"))
    names = [pipeline.name, PurePath(recipe).stem if is_file else recipe] if pipeline else [recipe]
    found = []
    for name in dict.fromkeys(names):
        try:
            found.append(client.read_deployment_by_name(f"{FLOW}/{name}"))
        except ObjectNotFound:
            continue
    if not found and pipeline is None:
        of_ritz = FlowFilter(name=FlowFilterName(any_=[FLOW]))
        served = sorted(deployment.name for deployment in client.read_deployments(flow_filter=of_ritz))
        raise RecipeError(
            f"recipe {shown(recipe)} is unknown: it is not shipped, and the server at {url} does not serve it; "
            f"it serves {cut(', '.join(served), 1000) or 'none'}"
        )
    if not found:
        raise RecipeError(f"the server at {url} does not serve recipe {recipe!r}; start `ritz serve --recipe {recipe}`")
    if not is_file:
        return found[0]
    assert pipeline is not None
    for deployment in found:
        if deployment.version == pipeline.identity:
            return deployment
    raise RecipeError(f"the server at {url} serves another recipe as {FLOW}/{found[0].name} than the file {recipe!r}")


def _active(client: SyncPrefectClient, served: DeploymentResponse) -> FlowRun | None:
    """Return the run of a deployment that is going on, None if there is none."""
    state = FlowRunFilterState(type=FlowRunFilterStateType(any_=list(ACTIVE)))
    runs = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[served.id]), state=state),
        sort=FlowRunSort.EXPECTED_START_TIME_ASC,
    )
    return runs[0] if runs else None
