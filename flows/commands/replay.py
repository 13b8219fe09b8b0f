from __future__ import annotations

from typing import Annotated

import typer

from ritz.flows.commands.options import Json, ProfileName, StoreUrl
from ritz.flows.server.access import embedded
from ritz.flows.settings import DEFAULT_STORE


def replay(
    run: Annotated[str, typer.Argument(metavar="RUN|MODEL@VERSION", help="A finished run, or a model.")],
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of torch; default: those of the recorded training.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Repeat a training from its schedule and the dataset's snapshot; compare losses and weights bit for bit.

    It solves nothing. Ends with code 1 if they differ. Example: ritz replay darcy@v1
    """
    from ritz.flows.terminal import STARTING, print_json, watching
    from ritz.tasks.preparing import prepare
    from ritz.tasks.requests.learning import Replay

    prepared = prepare(Replay(run), store, profile)
    with watching(STARTING), embedded():
        from ritz.flows.launch import launch
        from ritz.flows.replay import replay as flow
        from ritz.tasks.training.replay import sentence

        found = launch(flow, run, prepared.store, profile, threads)
    if as_json:
        print_json(found.document())
    else:
        typer.echo(f"model {found.model}, dataset {found.dataset.spec} (snapshot {found.dataset.snapshot})")
        typer.echo(sentence(found))
    if not found.agrees:
        raise typer.Exit(1)
