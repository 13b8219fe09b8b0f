from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ritz.flows.commands.options import Json, StoreUrl, file_of
from ritz.flows.settings import DEFAULT_STORE


def export(
    dataset: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A published dataset.")],
    target: Annotated[Path, typer.Option("--to", help="Target: a new folder for zarr, a new file for the others.")],
    form: Annotated[
        str | None, typer.Option("--format", help="zarr, netcdf or hdf5; default by suffix: .zarr, .nc or .h5.")
    ] = None,
    only_ok: Annotated[
        bool, typer.Option("--only-ok", help="Leave out failed samples; else every sample keeps its position.")
    ] = False,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Write a version of a dataset as plain Zarr v3, NetCDF or HDF5.

    Example: ritz export darcy@v1 --to darcy.nc
    """
    from ritz.flows.terminal import print_json, watching
    from ritz.tasks.upkeep.exporting import export_version

    with watching():
        result = export_version(store, dataset, file_of(target), form, only_ok)
    if as_json:
        print_json(result.document())
    else:
        typer.echo(f"{result.samples} samples of {result.dataset}@{result.version} in {result.path}")
