from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ritz.flows.commands.options import Json, Overrides, Recipe, StoreUrl, file_of
from ritz.flows.settings import DEFAULT_STORE

if TYPE_CHECKING:
    from ritz.compute.document import DocumentPart
    from ritz.flows.terminal import Row


def recipes(
    recipe: Annotated[
        str | None, typer.Argument(metavar="[RECIPE]", help="List the fields of this recipe; none for all recipes.")
    ] = None,
    overrides: Overrides = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also list the fields of kinds that the recipe does not choose.")
    ] = False,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """List the shipped recipes, or the fields of one: value, default, limits, unit, meaning.

    Error, minutes and the number of predictions after which a surrogate has paid for itself (asked one at a time, and
    in batches) are those of one measured run of each recipe; benchmarks/recipes.txt names the machine.

    Example: ritz recipes darcy --set solver=recycled
    """
    from ritz.tasks.recipes import RecipeError, load, names
    from ritz.tasks.views.measured import measured_as

    if recipe is not None:
        _fields(recipe, overrides, every, store, as_json)
        return
    if overrides or every:
        raise RecipeError(
            "--set and --all are for the fields of one recipe: expected its name, e.g. ritz recipes darcy"
        )
    rows = []
    for name in names():
        pipeline = load(name)
        document = pipeline.document()
        found = measured_as(name, pipeline)
        one, batched = found.pays_after() if found is not None else (None, None)
        rows.append(
            {
                "recipe": name,
                "problem": document["problem"]["kind"],
                "samples": pipeline.data.samples,
                "solver": document["solver"]["kind"],
                "surrogate": document["surrogate"]["kind"],
                "error": found and round(found.relative_l2, 4),
                "minutes": found and round(found.seconds / 60, 1),
                "pays_after": one,
                "pays_after_batched": batched,
                "schedule": pipeline.schedule and pipeline.schedule.text(),
            }
        )
    _list(rows, as_json)


def methods(as_json: Json = False) -> None:
    """List the methods that a recipe can choose or a program can use, and their publications.

    Example: ritz methods --json
    """
    from ritz.tasks.views.methods import methods as known

    rows = []
    for method in known():
        row: Row = {"field": method.field, "kind": method.kind, "about": method.about}
        sources = [source._asdict() for source in method.sources]
        rows.append({**row, "sources": sources if as_json else "; ".join(one.text() for one in method.sources)})
    _list(rows, as_json)


def layout(recipe: Recipe, overrides: Overrides = None, store: StoreUrl = DEFAULT_STORE) -> None:
    """Show the layout of a recipe's dataset: arrays, dimensions, chunks, codecs, attributes.

    Example: ritz layout darcy
    """
    from ritz.tasks.parsing.overrides import parse_assignments
    from ritz.tasks.recipes import load
    from ritz.tasks.views.layouts import text

    pipeline = load(recipe, parse_assignments(overrides or []), stages=(), store_url=store)
    typer.echo(text(pipeline).rstrip())


def datasets(store: StoreUrl = DEFAULT_STORE, as_json: Json = False) -> None:
    """List the datasets of a store.

    Example: ritz datasets --store /data/ritz
    """
    from ritz.flows.terminal import noting
    from ritz.tasks.views.lists import datasets as rows

    with noting():
        _list(rows(store), as_json, store)


def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME[@VERSION]]...",
            help="Show the card of this model, or compare several; none for a list of all models.",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="PATH", help="Write the comparison as a page: a new .html file.")
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """List the models of a store, show the card of one, or compare several on their common test samples.

    A card has origin, errors, costs and break-even. A comparison has means with 95 % intervals over the samples, and
    the share of the first model's error that each of the others saves. Example: ritz models darcy@v1 darcy@v2
    --report models.html
    """
    from ritz.flows.terminal import noting
    from ritz.tasks.views.card import card
    from ritz.tasks.views.lists import models as rows

    chosen = names or []
    if report is not None and len(chosen) < 2:
        raise typer.BadParameter(f"got {len(chosen)} models, expected two or more to compare", param_hint="--report")
    with noting():
        if not chosen:
            _list(rows(store), as_json, store)
        elif len(chosen) == 1:
            _document(card(store, chosen[0]), as_json)
        else:
            _side_by_side(store, chosen, report, as_json)


def _side_by_side(store: str, names: list[str], report: Path | None, as_json: bool) -> None:
    from ritz.flows.terminal import print_json, print_table
    from ritz.storage.targets import check_target, written_whole
    from ritz.tasks.views.side_by_side import rows, side_by_side

    path = report and file_of(report)
    if path is not None:
        check_target(path, (".html",))
    found = side_by_side(store, names)
    if path is not None:
        from ritz.tasks.report.models import models_page

        with written_whole(path) as aside:
            aside.write_bytes(models_page(found))
    if as_json:
        print_json(found.document())
        return
    print_table(rows(found))
    typer.echo(f"{found.samples} test samples of {found.dataset}; intervals of {found.level:.0%} over the samples")
    if path is not None:
        typer.echo(f"page {path}")


def runs(store: StoreUrl = DEFAULT_STORE, as_json: Json = False) -> None:
    """List the runs of a store, newest last; with --json their whole records.

    Example: ritz runs --json
    """
    from ritz.flows.terminal import noting
    from ritz.tasks.views.lists import records
    from ritz.tasks.views.lists import runs as rows

    with noting():
        _list(records(store) if as_json else rows(store), as_json, store)


def show(
    name: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A dataset, a model, or a run.")],
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Show a dataset, the model of the same name, or a run.

    Example: ritz show darcy@v1
    """
    from ritz.flows.terminal import noting
    from ritz.tasks.views.lists import show as look

    with noting():
        _document(look(store, name), as_json)


def diff(
    first: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="A version of a dataset.")],
    second: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="Another, of this dataset or of another one.")],
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Show the differences between two versions: samples, recipe, variables, attributes.

    Example: ritz diff darcy@v1 darcy@v2
    """
    from ritz.flows.terminal import noting
    from ritz.tasks.views.difference import difference

    with noting():
        _document(difference(store, first, second), as_json)


def lineage(
    name: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A dataset, or a model.")],
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Show the recipe of a dataset and the models trained on it; for a model, its recipe and dataset.

    Example: ritz lineage darcy
    """
    from ritz.flows.terminal import noting
    from ritz.tasks.views.lineage import lineage as trace

    with noting():
        _document(trace(store, name), as_json)


def _document(found: DocumentPart, as_json: bool) -> None:
    import yaml

    from ritz.flows.terminal import print_json

    document = found.document()
    if as_json:
        print_json(document)
    else:
        typer.echo(yaml.safe_dump(document, sort_keys=False).rstrip())


def _fields(recipe: str, overrides: list[str] | None, every: bool, store: str, as_json: bool) -> None:
    from dataclasses import asdict

    from ritz.flows.terminal import print_fields, print_json
    from ritz.tasks.parsing.overrides import parse_assignments
    from ritz.tasks.parsing.schema import entries
    from ritz.tasks.recipes import load

    pipeline = load(recipe, parse_assignments(overrides or []), stages=(), store_url=store)
    rows = [asdict(entry) for entry in entries(pipeline, every)]
    if as_json:
        print_json(rows)
    else:
        print_fields(rows)


def _list(rows: Sequence[Row | DocumentPart], as_json: bool, store: str | None = None) -> None:
    from ritz.flows.terminal import print_json, print_table

    if not rows and store is not None:
        from ritz.storage.store import Store

        place = Store(store)
        typer.echo(place.nothing() or f"the store {place.url} has none", err=True)
    documents = [row if isinstance(row, Mapping) else row.document() for row in rows]
    if as_json:
        print_json(documents)
    else:
        print_table(documents)
