from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments import run_deployment
from prefect.deployments.runner import EntrypointType
from prefect.exceptions import ObjectNotFound
from prefect.runner import Runner
from prefect.schedules import Cron, Interval
from prefect.schedules import Schedule as PrefectSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.utilities.callables import ParameterSchema

from flows.binding import Binding, bind
from flows.run import run_served
from flows.server import ServerError, answers, local_url, standing
from tasks.recipes import RecipeError, load
from tasks.schedule import Schedule

FLOW = "ritz"
"""Name of the served flow: the deployment of a recipe is ``ritz/RECIPE``."""


def serve(recipes: Sequence[str], store: str, profile: str, port: int) -> None:
    """Register recipes as Prefect deployments and run what is scheduled or triggered, until interrupted.

    Uses the server that ``PREFECT_API_URL`` names, else starts one on the loopback interface. A recipe runs once at
    a time, and so does whatever works on a dataset, be it another recipe of the same `name` or ``ritz run``: a run
    that comes while another is going on is cancelled, since what it would make is being made.

    Parameters
    ----------
    recipes
        Names or paths.
    store, profile
        As in `flows.run.run`, for every run.
    port
        Port of the server that is started.

    Raises
    ------
    RecipeError
        If two recipes would get the same deployment.
    ServerError
        If the configured server does not answer, or none could be started.
    """
    named: dict[str, str] = {}
    for recipe in recipes:
        name = _deployment(recipe)
        if name in named:
            raise RecipeError(
                f"recipes {named[name]!r} and {recipe!r} would both be served as {FLOW}/{name}; rename one of the files"
            )
        named[name] = recipe
    deployments = [_to_deployment(recipe) for recipe in recipes]
    with standing(port, PREFECT_API_URL.value()) as url, temporary_settings({PREFECT_API_URL: url}):
        # The runs are processes of their own: they find the server through the environment.
        os.environ["PREFECT_API_URL"] = url
        sys.stderr.write(f"serving {', '.join(f'{FLOW}/{_deployment(name)}' for name in recipes)} at {url}\n")
        runner = _Runner()
        added = [str(runner.add_deployment(deployment)) for deployment in deployments]
        bind({id: Binding(recipe, store, profile) for id, recipe in zip(added, recipes, strict=True)})
        # The server keeps an entry point too, and steps that come before it: a run takes neither.
        os.environ["PREFECT__FLOW_ENTRYPOINT"] = f"{run_served.__module__}.{run_served.fn.__name__}"
        with suppress(KeyboardInterrupt, asyncio.CancelledError):
            asyncio.run(runner.serve())


def trigger(recipe: str, overrides: dict[str, Any], port: int, wait: bool) -> dict[str, Any]:
    """Start one run of a served recipe; return its ``flow_run`` id, ``name`` and ``state``.

    Raises
    ------
    ServerError
        If no server answers.
    RecipeError
        If it does not serve the recipe, or serves another one than the given file under its name.
    """
    url = PREFECT_API_URL.value() or local_url(port)
    if not answers(url):
        raise ServerError(f"no Prefect server answers at {url}; start `ritz serve`, or set PREFECT_API_URL")
    name = _deployment(recipe)
    with temporary_settings({PREFECT_API_URL: url}):
        try:
            with get_client(sync_client=True) as client:
                served = client.read_deployment_by_name(f"{FLOW}/{name}")
        except ObjectNotFound:
            raise RecipeError(
                f"the server at {url} does not serve recipe {recipe!r}; start `ritz serve --recipe {recipe}`"
            ) from None
        if recipe != name and served.version != load(recipe).identity:
            raise RecipeError(f"the server at {url} serves another recipe as {FLOW}/{name} than the file {recipe!r}")
        started: Any = run_deployment(
            served.id,
            # Prefect merges parameters at the top level only: the overrides travel whole.
            parameters={"overrides": overrides},
            timeout=None if wait else 0,
            as_subflow=False,
        )
    state = started.state.name if started.state else "Scheduled"
    return {"flow_run": str(started.id), "name": started.name, "state": state}


class _Runner(Runner):
    """Prefect's runner, which ends by SIGTERM as it does by SIGINT.

    Its own way to take SIGTERM waits, in a signal handler, for the event loop that the handler holds up. SIGINT in its
    place would do nothing in what a shell has started in the background, where it is ignored.
    """

    async def serve(self) -> None:
        """Run what is due, until cancelled."""
        self._serving = asyncio.current_task()
        await self.start()

    def handle_sigterm(self, *_: Any) -> None:
        assert self._serving is not None
        self._serving.get_loop().call_soon_threadsafe(self._serving.cancel)


class _Closed(ParameterSchema):
    """Schema of parameters by which the server refuses those that it does not name."""

    additionalProperties: Literal[False] = False  # noqa: N815


def _to_deployment(recipe: str) -> Any:
    pipeline = load(recipe)
    schedule = pipeline.schedule
    deployment: Any = run_served.to_deployment(
        _deployment(recipe),
        schedule=_kept(schedule) if schedule else None,
        parameters={"overrides": {}},
        # The lock of the dataset would keep a late run out too, after a process was started for it.
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        entrypoint_type=EntrypointType.MODULE_PATH,
        # By this a file is told from another one of its name.
        version=pipeline.identity,
        description=f"Recipe {recipe}: dataset, surrogate and its measured error bars.",
    )
    known = dict(deployment._parameter_openapi_schema)
    deployment._parameter_openapi_schema = _Closed(**known, additionalProperties=False)
    return deployment


def _kept(schedule: Schedule) -> PrefectSchedule:
    """Return a schedule as Prefect keeps it."""
    if schedule.cron is not None:
        return Cron(schedule.cron, timezone=schedule.timezone)
    assert schedule.every is not None
    return Interval(schedule.every, anchor_date=schedule.anchor, timezone=schedule.timezone)


def _deployment(recipe: str) -> str:
    return recipe.removesuffix(".yaml").removesuffix(".yml").rpartition("/")[2]
