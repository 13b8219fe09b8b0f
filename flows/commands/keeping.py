from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from ritz.flows.commands.options import Json, StoreUrl
from ritz.flows.settings import DEFAULT_STORE

if TYPE_CHECKING:
    from datetime import timedelta

MOST = 36500.0
"""Days."""

_AGE = re.compile(r"(\d+(?:\.\d*)?)([dh]?)")


def age(text: str) -> timedelta:
    """Return a span of time: ``"90d"``, ``"12h"``, or a number of days.

    Raises
    ------
    typer.BadParameter
        It is none, or longer than a hundred years.

    Examples
    --------
    >>> age("90d").days, age("1.5").total_seconds(), age("12h").total_seconds()
    (90, 129600.0, 43200.0)
    """
    from datetime import timedelta

    match = _AGE.fullmatch(text.strip())
    days = float(match[1]) / (24 if match[2] == "h" else 1) if match else MOST + 1
    if days > MOST:
        raise typer.BadParameter(f"{text!r} is no age of at most {MOST:g} days; expected e.g. 90d, 12h, or days: 90")
    return timedelta(days=days)


def gc(
    store: StoreUrl = DEFAULT_STORE,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Keep what is younger: 90d, 12h, or a number of days.")
    ] = "7d",
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            min=1,
            help="Keep so many versions of each dataset, the newest, and those that are named; all by default.",
        ),
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete; without, only list the entries.")] = False,
    as_json: Json = False,
) -> None:
    """Delete history that no version, model or run record names, and failed runs; a dry run by default.

    With --keep older versions of datasets go too, unless a model, a run record, a catalogue or a user's tag names them.

    Example: ritz gc --older-than 90d --keep 5 --delete
    """
    import yaml

    from ritz.flows.terminal import print_json
    from ritz.tasks.upkeep.collecting import collect

    found = collect(store, age(older_than), delete, keep)
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
