from __future__ import annotations

from typing import Annotated

import typer

from ritz.flows.commands.options import Json, Overrides, Port, ProfileName, StoreUrl
from ritz.flows.settings import DEFAULT_STORE


def serve(
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    recipes: Annotated[
        list[str] | None,
        typer.Option("--recipe", help="Serve only this recipe; repeatable. Default: all shipped."),
    ] = None,
    rules: Annotated[
        str | None,
        typer.Option("--rules", metavar="FILE", help="YAML file of what follows what; see docs/service.md."),
    ] = None,
    port: Port = 4200,
) -> None:
    """Serve every recipe as a Prefect deployment, on its schedule and on demand, until interrupted.

    A recipe's schedule is a cron expression of five fields (schedule.cron) or an interval (schedule.every), in the
    time zone schedule.timezone, UTC if it names none.

    Example: ritz serve --store /data/ritz
    """
    from ritz.storage.store import Store
    from ritz.tasks.driver.signals import leave_alone
    from ritz.tasks.recipes import load, load_profile, names

    wanted = recipes or names()
    for name in wanted:
        load(name)
    from ritz.flows.serving.rules import rules as read_rules

    following = read_rules(rules) if rules else ()
    load_profile(profile).check()
    from ritz.flows.serving.serve import serve as work

    leave_alone()
    work(wanted, Store(store).url, profile, port, following)


def trigger(
    recipe: Annotated[
        str,
        typer.Argument(help="Name of a shipped recipe, path of a YAML file, or name of a deployment of the server."),
    ],
    overrides: Overrides = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end of the run.")] = False,
    port: Port = 4200,
    as_json: Json = False,
) -> None:
    """Start a run of a served recipe.

    A recipe runs once at a time: a run waits for the end of the one before it.

    Example: ritz trigger darcy --set data.samples=2048
    """
    from ritz.flows.terminal import print_json
    from ritz.tasks.parsing.overrides import parse_assignments
    from ritz.tasks.recipes import load, names

    changes = parse_assignments(overrides or [])
    # The server may know recipes that are files elsewhere; it checks what they are asked.
    known = recipe in names() or recipe.endswith((".yaml", ".yml"))
    if known:
        load(recipe, changes)
    from ritz.flows.serving.trigger import trigger as work

    result = work(
        recipe, load(recipe) if known else None, changes, port, wait, lambda line: typer.echo(f"ritz: {line}", err=True)
    )
    if as_json:
        print_json(result.document())
    else:
        message = f": {result.message}" if result.message and not result.model else ""
        typer.echo(f"flow run {result.flow_run}: {result.state}{message}")
        if result.model and result.release:
            from ritz.tasks.documents.verdict import RELEASES

            typer.echo(f"run    {result.run}\nmodel  {result.model}, {RELEASES[result.release]}")
            typer.echo(f"error  {result.relative_l2:.4g} mean relative L2\nreport {result.report}")
    if wait and result.state != "Completed":
        raise typer.Exit(1)
