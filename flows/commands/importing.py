from __future__ import annotations

from typing import Annotated

import typer

from ritz.flows.commands.options import Json, ProfileName, StoreUrl
from ritz.flows.server.access import embedded
from ritz.flows.settings import DEFAULT_STORE


def import_files(
    mapping: Annotated[
        str, typer.Argument(metavar="FILE.yaml", help="What the files hold: their names, variables and dimensions.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Set a field of the YAML file; repeatable."),
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    as_json: Json = False,
) -> None:
    """Import samples that Ritz did not solve: NetCDF, HDF5, Zarr, NumPy; new files make the next version.

    Example: ritz import pdebench.yaml --store /data/ritz
    """
    from ritz.tasks.parsing.overrides import parse_assignments
    from ritz.tasks.preparing import prepare
    from ritz.tasks.requests.importing import ImportFiles

    changes = parse_assignments(overrides or [])
    prepared = prepare(ImportFiles.read(mapping, changes), store, profile)
    if prepared.done is not None:
        typer.echo(f"nothing to do: {prepared.done.dataset.spec} has all files", err=True)
        result = prepared.done
    else:
        from ritz.flows.terminal import STARTING, watching

        typer.echo(prepared.new_store, err=True, nl=bool(prepared.new_store))
        with watching(STARTING), embedded():
            from ritz.flows.import_files import import_files as flow
            from ritz.flows.launch import launch

            result = launch(flow, mapping, changes, prepared.store, profile)
    from ritz.flows.commands.stages import report
    from ritz.tasks.views.imported import rows

    report(result, as_json, f"dataset {result.dataset.spec}", rows(result))
