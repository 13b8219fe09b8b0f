from __future__ import annotations

from typing import Annotated

import typer

from flows.commands.options import Json, Overrides, Port, ProfileName, Recipe, StoreUrl
from flows.settings import DEFAULT_STORE


def serve(
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    recipes: Annotated[
        list[str] | None,
        typer.Option("--recipe", help="Serve only this recipe; repeatable. Default: all shipped."),
    ] = None,
    port: Port = 4200,
) -> None:
    """Serve every recipe as a Prefect deployment, on its schedule and on demand, until interrupted.

    A recipe's schedule is a cron expression of five fields (schedule.cron) or an interval (schedule.every), in the
    time zone schedule.timezone, UTC if it names none.

    Example: ritz serve --store /data/ritz
    """
    from storage.store import Store
    from tasks.recipes import load, load_profile, names

    wanted = recipes or names()
    for name in wanted:
        load(name)
    load_profile(profile).check()
    from flows.serve import serve as work

    work(wanted, Store(store).url, profile, port)


def trigger(
    recipe: Recipe,
    overrides: Overrides = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end of the run.")] = False,
    port: Port = 4200,
    as_json: Json = False,
) -> None:
    """Start a run of a served recipe.

    Example: ritz trigger darcy --set data.samples=2048
    """
    from flows.terminal import print_json
    from tasks.recipes import load, parse_assignments

    changes = parse_assignments(overrides or [])
    load(recipe, changes)
    from flows.serve import trigger as work

    result = work(recipe, changes, port, wait)
    if as_json:
        print_json(result)
    else:
        typer.echo(f"flow run {result['flow_run']}: {result['state']}")
    if wait and result["state"] != "Completed":
        raise typer.Exit(1)
