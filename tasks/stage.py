from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import httpx
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.exceptions import PrefectException
from prefect.tasks import Task

from ritz.compute.cluster.cluster import WorkersLost

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("ritz")


def stage(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a stage: one Prefect task, run by the driver, that may be tried again.

    A stage can be run again at any point, because what it has done is in the store; it is when the workers died
    under it, and not when the input is wrong. Its arguments hold live objects, so nothing is cached by them.
    """
    return task(
        name=name,
        retries=3,
        # What killed the workers, such as a full machine, may take a while to pass.
        retry_delay_seconds=[5, 15, 45],
        retry_jitter_factor=0.2,
        retry_condition_fn=_workers_lost,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def _workers_lost(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    del task, run
    error = state.result(raise_on_failure=False)
    if isinstance(error, WorkersLost):
        log.warning("%s; trying the stage again", error)
        return True
    return False


def in_prefect() -> bool:
    """Whether this code runs inside a Prefect task, so that artifacts have somewhere to go."""
    return TaskRunContext.get() is not None


def show(make: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """Make or move an artifact; None where Prefect's server did not take it, which must not end the work it shows."""
    try:
        return make(*args, **kwargs)
    except (httpx.HTTPError, PrefectException) as error:
        log.warning(
            "Prefect's server did not take what %s would show: %s", make.__name__, str(error).partition("\n")[0]
        )
        return None


def artifact_key(name: str, part: str) -> str:
    """Return the key of an artifact about ``name``; Prefect takes small letters, digits and dashes."""
    return "ritz-" + "".join(c if c.isascii() and c.isalnum() else "-" for c in f"{name}-{part}".lower())
