from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, get_current_settings

from ritz.flows.client import connected
from ritz.flows.served import NAME, run_served
from ritz.flows.server import key
from ritz.flows.server.access import standing
from ritz.flows.serving import automations
from ritz.flows.serving.automations import Reaction
from ritz.flows.serving.binding import bind
from ritz.flows.serving.deployments import Served, of_recipes, of_rules, to_deployment
from ritz.flows.serving.orphans import Watch
from ritz.flows.serving.rules import Rule
from ritz.flows.serving.runner import ServingRunner


def serve(recipes: Sequence[str], store: str, profile: str, port: int, rules: Sequence[Rule] = ()) -> None:
    """Register recipes as Prefect deployments and run what is scheduled or triggered, until interrupted.

    Uses the server that ``PREFECT_API_URL`` names, else starts one on the loopback interface. A recipe runs once at
    a time: a run that is triggered meanwhile waits for its turn, one that its schedule brings is cancelled, and says
    so. So is a run that finds its dataset in use, by another recipe of the same `name` or ``ritz run``. Runs that no
    process is at any more, as after a power cut, are ended; see `ritz.flows.serving.orphans` and, for runs of other
    machines, `ritz.flows.serving.alive`. A rule starts a deployment of its own after an event.

    Parameters
    ----------
    recipes
        Names or paths.
    store, profile
        As in `ritz.flows.run.run`, for every run.
    port
        Port of the server that is started.
    rules
        What follows what.

    Raises
    ------
    RecipeError
        If two recipes, or two rules, would get the same deployment, or a rule does not go with its recipe.
    ServerError
        If the configured server does not answer, or none could be started.
    """
    served = [*of_recipes(recipes, store, profile), *of_rules(rules, store, profile)]
    configured = PREFECT_API_URL.value()
    with standing(port, configured) as url, connected():
        lines = [one.line() for one in served if one.rule is None]
        sys.stderr.write(f"serving {', '.join(lines)} at {url}\n")
        if (place := key.path(port)).exists() and not configured:
            sys.stderr.write(f"pages at {url.removesuffix('/api')}; what they ask for is the line in {place}\n")
        runner = ServingRunner()
        added: list[Any] = [runner.add_deployment(to_deployment(one)) for one in served]
        bind({str(id): one.binding for id, one in zip(added, served, strict=True)})
        _react(dict(zip(added, served, strict=True)), store)
        # The process of a run would look for modules in the working directory first, where others may have put some.
        os.environ["PYTHONSAFEPATH"] = "1"
        # The server keeps an entry point too, and steps that come before it: a run takes neither.
        os.environ["PREFECT__FLOW_ENTRYPOINT"] = f"{run_served.__module__}.{run_served.fn.__name__}"
        names = [one.name for one in served]
        watch = Watch(dict(zip(added, names, strict=True)), store, configured is None and _own_database())
        with suppress(KeyboardInterrupt, asyncio.CancelledError):
            asyncio.run(runner.serve(watch))


def _react(served: Mapping[UUID, Served], store: str) -> None:
    """Have the server start what the rules say, and end runs that are silent; print what follows what."""
    reactions = [
        Reaction(one.rule, one.pipeline.name, deployment, f"{NAME}/{one.name}")
        for deployment, one in served.items()
        if one.rule is not None
    ]
    wanted = [automations.started(reaction, store) for reaction in reactions]
    wanted.append(automations.watched())
    with get_client(sync_client=True) as client:
        automations.keep(client, wanted, {deployment: one.name for deployment, one in served.items()})
        off = automations.triggers_off(client)
    for reaction in reactions:
        sys.stderr.write(f"{reaction.text()}\n")
    if off:
        sys.stderr.write(
            "ritz: the server evaluates no triggers (PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED is false): no rule "
            "starts anything, and runs of machines that die stay Running; set it to true where the server runs\n"
        )


def _own_database() -> bool:
    """Return whether a server that is started here has a database in this ``PREFECT_HOME``, and so only its runs."""
    url = get_current_settings().server.database.connection_url
    return url is not None and url.get_secret_value().startswith(f"sqlite+aiosqlite:///{PREFECT_HOME.value()}/")
