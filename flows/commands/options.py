from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathlib import Path

Recipe = Annotated[
    str,
    typer.Argument(
        help="Name of a shipped recipe (see `ritz recipes`), path of a YAML file, or NAME@VERSION for the recipe that "
        "made a dataset of the store."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Set a field of the recipe (see `ritz recipes NAME`), or an item of a list by its number; repeatable.",
    ),
]
Samples = Annotated[
    int | None, typer.Option("--samples", help="Number of samples, like --set data.samples=N; more grow the dataset.")
]
StoreUrl = Annotated[
    str,
    typer.Option("--store", envvar="RITZ_STORE", help="Folder or URL of the store of datasets, models and runs."),
]
ProfileName = Annotated[
    str,
    typer.Option(
        "--profile", help="Cluster profile: local, attach:ADDRESS, slurm, pbs, kubernetes, or path of a YAML file."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on stdout.")]
DatasetName = Annotated[str, typer.Option("--dataset", metavar="NAME[@VERSION]", help="A published dataset.")]
ModelName = Annotated[str, typer.Argument(metavar="MODEL[@VERSION]", help="A model of the store.")]
Port = Annotated[int, typer.Option(help="Port of the Prefect server, if PREFECT_API_URL is not set.")]


def file_of(path: Path) -> Path:
    """Return the path of a file of the user's, whose home may be written ``~``.

    Raises
    ------
    ritz.storage.errors.StorageError
        There is no such home, or the name is longer than any file's.
    """
    from ritz.storage.errors import StorageError
    from ritz.storage.wording import shown

    try:
        full = path.expanduser()
    except RuntimeError as error:
        raise StorageError(f"{shown(str(path))}: {error}") from None
    if len(os.fsencode(full)) > 4000 or any(len(os.fsencode(part)) > 255 for part in full.parts):
        raise StorageError(f"{shown(str(path))}: the name is too long for a file")
    return full
