from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import EntrypointType
from prefect.schedules import Cron, Interval
from prefect.schedules import Schedule as PrefectSchedule
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, get_current_settings
from prefect.utilities.callables import ParameterSchema

from ritz.flows.client import connected
from ritz.flows.naming import recipe_tags
from ritz.flows.run import run_served
from ritz.flows.server import key
from ritz.flows.server.access import standing
from ritz.flows.serving.binding import Binding, bind
from ritz.flows.serving.orphans import Watch
from ritz.flows.serving.runner import ServingRunner
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.schedule import Schedule
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.recipes import load

FLOW = run_served.name
"""Name of the served flow: the deployment of a recipe is ``ritz/RECIPE``."""


def serve(recipes: Sequence[str], store: str, profile: str, port: int) -> None:
    """Register recipes as Prefect deployments and run what is scheduled or triggered, until interrupted.

    Uses the server that ``PREFECT_API_URL`` names, else starts one on the loopback interface. A recipe runs once at
    a time: a run that is triggered meanwhile waits for its turn, one that its schedule brings is cancelled, and says
    so. So is a run that finds its dataset in use, by another recipe of the same `name` or ``ritz run``. Runs that no
    process is at any more, as after a power cut, are ended; see `ritz.flows.serving.orphans`.

    Parameters
    ----------
    recipes
        Names or paths.
    store, profile
        As in `ritz.flows.run.run`, for every run.
    port
        Port of the server that is started.

    Raises
    ------
    RecipeError
        If two recipes would get the same deployment.
    ServerError
        If the configured server does not answer, or none could be started.
    """
    pipelines = {recipe: load(recipe) for recipe in recipes}
    named = deployment_names({recipe: pipeline.name for recipe, pipeline in pipelines.items()})
    deployments = [_to_deployment(named[recipe], recipe, pipeline) for recipe, pipeline in pipelines.items()]
    configured = PREFECT_API_URL.value()
    with standing(port, configured) as url, connected():
        lines = [_line(named[recipe], pipeline) for recipe, pipeline in pipelines.items()]
        sys.stderr.write(f"serving {', '.join(lines)} at {url}\n")
        if (place := key.path(port)).exists() and not configured:
            sys.stderr.write(f"pages at {url.removesuffix('/api')}; what they ask for is the line in {place}\n")
        runner = ServingRunner()
        added: list[Any] = [runner.add_deployment(deployment) for deployment in deployments]
        bind({str(id): Binding(recipe, store, profile) for id, recipe in zip(added, pipelines, strict=True)})
        # The process of a run would look for modules in the working directory first, where others may have put some.
        os.environ["PYTHONSAFEPATH"] = "1"
        # The server keeps an entry point too, and steps that come before it: a run takes neither.
        os.environ["PREFECT__FLOW_ENTRYPOINT"] = f"{run_served.__module__}.{run_served.fn.__name__}"
        watch = Watch(dict(zip(added, named.values(), strict=True)), store, configured is None and _own_database())
        with suppress(KeyboardInterrupt, asyncio.CancelledError):
            asyncio.run(runner.serve(watch))


class _Closed(ParameterSchema):
    """Schema of parameters by which the server refuses those that it does not name."""

    additionalProperties: Literal[False] = False  # noqa: N815


def _to_deployment(name: str, recipe: str, pipeline: Pipeline) -> Any:
    schedule = pipeline.schedule
    deployment: Any = run_served.to_deployment(
        name,
        schedule=_kept(schedule) if schedule else None,
        parameters={"overrides": {}},
        # The lock of the dataset would keep a second run out too, after a process was started for it.
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
        tags=recipe_tags(pipeline),
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


def _own_database() -> bool:
    """Return whether a server that is started here has a database in this ``PREFECT_HOME``, and so only its runs."""
    url = get_current_settings().server.database.connection_url
    return url is not None and url.get_secret_value().startswith(f"sqlite+aiosqlite:///{PREFECT_HOME.value()}/")


def _line(name: str, pipeline: Pipeline) -> str:
    return f"{FLOW}/{name}" + (f" [{pipeline.schedule.text()}]" if pipeline.schedule else "")


def deployment_names(recipes: Mapping[str, str]) -> dict[str, str]:
    """Return the names of the deployments of recipes, by name or path of the recipe.

    A deployment bears the `name` of its recipe. Where several that are served together have one `name`, they bear
    those of their files.

    Parameters
    ----------
    recipes
        The `name` of each recipe, by its name or path.

    Raises
    ------
    RecipeError
        If two would get the same.
    """
    shared = Counter(recipes.values())
    names = {recipe: name if shared[name] == 1 else _stem(recipe) for recipe, name in recipes.items()}
    by_name: dict[str, str] = {}
    for recipe, name in names.items():
        if name in by_name:
            raise RecipeError(
                f"recipes {by_name[name]!r} and {recipe!r} would both be served as {FLOW}/{name}; "
                "rename one of the files"
            )
        by_name[name] = recipe
    return names


def _stem(recipe: str) -> str:
    return recipe.removesuffix(".yaml").removesuffix(".yml").rpartition("/")[2]
