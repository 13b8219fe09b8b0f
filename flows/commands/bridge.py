from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from ritz.flows.commands.options import Json, Overrides, StoreUrl
from ritz.flows.settings import DEFAULT_STORE


def bridge(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|MODEL",
            help="Name of a shipped recipe or path of a YAML file; or a model of the store, NAME@VERSION or NAME where "
            "no recipe has that name.",
        ),
    ],
    quantities: Annotated[
        list[str] | None,
        typer.Option(
            "--quantity",
            metavar="KIND:OUTPUT[:…]",
            help="Return this number, such as mean:u, at:u:0.5,0.5 or integral:u:0.4,0.4:0.6,0.6; repeatable. Default: "
            "the fields.",
        ),
    ] = None,
    parameters: Annotated[
        Literal["inputs", "coordinates"] | None,
        typer.Option(
            help="What clients send: the inputs of the problem, or the leading coordinates of a draw, uniform in (0, "
            "1). Default: the inputs where none lies along space, else the coordinates."
        ),
    ] = None,
    leading: Annotated[
        int | None, typer.Option(help="With coordinates: how many of them, the first ones. Default: all.")
    ] = None,
    overrides: Overrides = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; every client that reaches it is answered without a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free one.")] = 4242,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Serve the solver and the surrogate to UQ codes, as models of UM-Bridge, until interrupted.

    A recipe has the model solver. A model of the store has surrogate too, and corrected, the predictions after one step
    of the problem's own iteration, where there is such a step.

    Example: ritz bridge cookies --quantity integral:u:0.4,0.4:0.6,0.6
    """
    from ritz.tasks.bridging.server import address, check_installed, listening, serve
    from ritz.tasks.driver.signals import leave_alone
    from ritz.tasks.parsing.overrides import parse_assignments

    check_installed()
    changes = parse_assignments(overrides or [])
    from ritz.tasks.bridging.bridge import bridged, subject

    forwards, found = bridged(subject(name, changes, store), quantities or [], parameters, leading)
    at = listening(host, port)
    found = found.model_copy(update={"url": address(at)})
    from ritz.flows.terminal import print_json, print_table

    if as_json:
        print_json(found.document())
    else:
        from ritz.tasks.views.bridged import rows

        typer.echo(f"{found.source} at {found.url}, until Ctrl-C")
        print_table(rows(found))
    # A program that started this one reads where to ask before it asks.
    sys.stdout.flush()
    leave_alone()
    serve(forwards, at)
