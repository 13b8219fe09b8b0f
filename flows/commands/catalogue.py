from __future__ import annotations

from typing import Annotated

import typer

from ritz.flows.commands.options import Json, StoreUrl
from ritz.flows.settings import DEFAULT_STORE


def catalogue(
    to: Annotated[
        str, typer.Option("--to", metavar="DIR|URL", help="Folder or s3:// URL of the catalogue: a new or its own one.")
    ],
    newest: Annotated[
        int | None,
        typer.Option(
            "--newest", min=1, help="List only so many versions of each dataset and model, the newest; all by default."
        ),
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Write a static site with a page per dataset and per model; it opens from a folder or is served by a bucket.

    The same again changes nothing, and what is gone from the store leaves no page. Beside the pages lie catalog.json
    (STAC 1.1.0) and llms.txt. The versions that are listed are named: `ritz gc` keeps them.

    Example: ritz catalogue --to site
    """
    from ritz.flows.terminal import noting, print_json
    from ritz.tasks.catalogue.worker import catalogue as write

    with noting():
        found = write(store, to, newest)
    if as_json:
        print_json(found.document())
        return
    counted = [
        f"{count} {what}{'' if count == 1 else 's'}"
        for count, what in ((found.datasets, "dataset"), (found.models, "model"))
    ]
    typer.echo(f"{' and '.join(counted)} in {found.index}")
    typer.echo(f"{len(found.written)} files written, {len(found.removed)} removed", err=True)
