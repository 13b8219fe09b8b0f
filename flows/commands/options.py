from __future__ import annotations

from typing import Annotated

import typer

Recipe = Annotated[str, typer.Argument(help="Name of a shipped recipe (see `ritz recipes`) or path of a YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a field of the recipe; repeatable."),
]
Samples = Annotated[
    int | None, typer.Option("--samples", help="Number of samples, as --set data.samples=N; more than before grow it.")
]
StoreUrl = Annotated[
    str,
    typer.Option("--store", envvar="RITZ_STORE", help="Folder or URL where datasets, models and runs lie."),
]
ProfileName = Annotated[
    str, typer.Option("--profile", help="Cluster profile: local, attach:ADDRESS, or path of a YAML file.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on stdout.")]
DatasetName = Annotated[str, typer.Option("--dataset", metavar="NAME[@VERSION]", help="A published dataset.")]
ModelName = Annotated[str, typer.Argument(metavar="MODEL[@VERSION]", help="A model of the store.")]
Port = Annotated[int, typer.Option(help="Port of the Prefect server, where none is configured.")]
