from __future__ import annotations

from typing import Annotated

import typer

from ritz.flows.commands.options import Json, StoreUrl
from ritz.flows.settings import DEFAULT_STORE


def gc(
    store: StoreUrl = DEFAULT_STORE,
    days: Annotated[
        float, typer.Option("--older-than", min=0, max=36500, help="Keep entries younger than so many days.")
    ] = 7.0,
    delete: Annotated[bool, typer.Option("--delete", help="Delete; without, only list the entries.")] = False,
    as_json: Json = False,
) -> None:
    """Delete history that no version, model or run record names, and failed runs; a dry run by default.

    Example: ritz gc --older-than 30 --delete
    """
    from datetime import timedelta

    import yaml

    from ritz.flows.terminal import print_json
    from ritz.tasks.upkeep.collecting import collect

    found = collect(store, timedelta(days=days), delete)
    if as_json:
        print_json(found.document())
        return
    typer.echo(
        yaml.safe_dump(
            {name: value for name, value in found.document().items() if name != "damaged"}, sort_keys=False
        ).rstrip()
    )
    for damage in found.damaged:
        typer.echo(f"ritz: {damage}", err=True)
    if not delete:
        typer.echo("nothing was changed; --delete deletes it", err=True)
