from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from prefect import serve as serve_deployments
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments import run_deployment
from prefect.deployments.runner import EntrypointType
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import ValidationError

from flows.run import run
from flows.server import ServerError, answers, local_url, standing
from tasks.recipes import RecipeError, load

FLOW = "ritz"
"""Name of the served flow: the deployment of a recipe is ``ritz/RECIPE``."""


def serve(recipes: Sequence[str], store: str, profile: str, port: int) -> None:
    """Register recipes as Prefect deployments and run what is scheduled or triggered, until interrupted.

    Uses the server that ``PREFECT_API_URL`` names, else starts one on the loopback interface. A recipe runs
    once at a time; a run that comes while another is going on is cancelled, since what it would make is being
    made.

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
        If a recipe's schedule cannot be read.
    ServerError
        If the configured server does not answer, or none could be started.
    """
    deployments = [_to_deployment(name, store, profile) for name in recipes]
    with standing(port, PREFECT_API_URL.value()) as url, temporary_settings({PREFECT_API_URL: url}):
        # The runs are processes of their own: they find the server through the environment.
        os.environ["PREFECT_API_URL"] = url
        sys.stderr.write(f"serving {', '.join(f'{FLOW}/{_deployment(name)}' for name in recipes)} at {url}\n")
        serve_deployments(*deployments, print_starting_message=False)


def trigger(recipe: str, overrides: dict[str, Any], port: int, wait: bool) -> dict[str, Any]:
    """Start one run of a served recipe; return its ``flow_run`` id, ``name`` and ``state``.

    Raises
    ------
    ServerError
        If no server answers.
    RecipeError
        If it does not serve the recipe.
    """
    url = PREFECT_API_URL.value() or local_url(port)
    if not answers(url):
        raise ServerError(f"no Prefect server answers at {url}; start `ritz serve`, or set PREFECT_API_URL")
    with temporary_settings({PREFECT_API_URL: url}):
        try:
            started: Any = run_deployment(
                f"{FLOW}/{_deployment(recipe)}",
                # Prefect merges parameters at the top level only: the overrides travel whole.
                parameters={"overrides": overrides},
                timeout=None if wait else 0,
                as_subflow=False,
            )
        except ObjectNotFound:
            raise RecipeError(
                f"the server at {url} does not serve recipe {recipe!r}; start `ritz serve --recipe {recipe}`"
            ) from None
    state = started.state.name if started.state else "Scheduled"
    return {"flow_run": str(started.id), "name": started.name, "state": state}


def _to_deployment(recipe: str, store: str, profile: str) -> Any:
    schedule = load(recipe).schedule
    cron = schedule.cron if schedule else None
    try:
        CronSchedule(cron=cron or "* * * * *")
    except ValidationError:
        raise RecipeError(
            f"recipe {recipe!r}: schedule.cron: expected a cron expression, e.g. '0 3 * * *' (got {cron!r})"
        ) from None
    return run.to_deployment(
        _deployment(recipe),
        cron=cron,
        interval=schedule.every if schedule else None,
        parameters={"recipe": recipe, "overrides": {}, "store": store, "profile": profile},
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        entrypoint_type=EntrypointType.MODULE_PATH,
        description=f"Recipe {recipe}: dataset, surrogate and its measured error bars.",
    )


def _deployment(recipe: str) -> str:
    return recipe.removesuffix(".yaml").removesuffix(".yml").rpartition("/")[2]
