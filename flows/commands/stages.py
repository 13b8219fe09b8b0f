from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ritz.flows.commands.options import (
    DatasetName,
    Json,
    ModelName,
    Overrides,
    ProfileName,
    Recipe,
    Samples,
    StoreUrl,
    file_of,
)
from ritz.flows.server import embedded
from ritz.flows.settings import DEFAULT_STORE

if TYPE_CHECKING:
    from ritz.compute.document import Part
    from ritz.tasks.parsing.plain import Overrides as Changes


def run(
    recipe: Recipe,
    overrides: Overrides = None,
    samples: Samples = None,
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    as_json: Json = False,
) -> None:
    """Generate, train online, evaluate, quantify and publish.

    Example: ritz run darcy --set data.samples=2048 --store /data/ritz
    """
    from ritz.tasks.recipes import load, load_profile

    changes = _changes(overrides, samples)
    pipeline, cluster = load(recipe, changes, store_url=store), load_profile(profile)
    # A recipe that is refused waits for no more than it takes to read.
    from ritz.flows.terminal import STARTING, print_json, print_table, watching
    from ritz.tasks.checks import check_run
    from ritz.tasks.generation.growth import planned
    from ritz.tasks.resources import check_room
    from ritz.tasks.views.lists import finished

    with watching():
        pipeline = planned(pipeline, store, lambda one: finished(one, store) is not None)
        record = finished(pipeline, store)
        if record is None:
            logging.getLogger("ritz").info(STARTING)
            cluster.check()
            new = _new(store)
            check_run(pipeline, store, trains=True)
            check_room(pipeline, store, cluster.limits(), trains=True)
            if new:
                logging.getLogger("ritz").info("store: %s", new)
            with embedded("ritz.flows.run"):
                from ritz.flows.launch import launch
                from ritz.flows.run import run as flow

                record = launch(flow, recipe, changes, _absolute(store), profile)
        else:
            from ritz.tasks.measuring.release import judged_again

            record = judged_again(store, record, pipeline)
            typer.echo(f"nothing to do: run {record.run} made all of it", err=True)
    if as_json:
        print_json(record.document())
    else:
        from ritz.storage.runs import report_location
        from ritz.storage.store import Store
        from ritz.tasks.views.summary import rows

        print_table(rows(record), header=False)
        # Where this store has it, whatever the record of a copied store says.
        where = Store(store)
        typer.echo(f"report {report_location(where, record.run)}\nstore  {where.url}")
    if not record.model.released:
        raise typer.Exit(1)


def generate(
    recipe: Recipe,
    overrides: Overrides = None,
    samples: Samples = None,
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    as_json: Json = False,
) -> None:
    """Solve and publish the dataset of a recipe; one that is published is grown to more samples.

    Example: ritz generate darcy --samples 4096
    """
    from ritz.tasks.recipes import load, load_profile

    changes = _changes(overrides, samples)
    pipeline = load(recipe, changes, stages=(), store_url=store)
    from ritz.flows.terminal import STARTING, watching
    from ritz.tasks.checks import check_run
    from ritz.tasks.generation.growth import planned, published
    from ritz.tasks.generation.result import complete
    from ritz.tasks.resources import check_room

    cluster = load_profile(profile)
    cluster.check(("solve",))
    pipeline = planned(pipeline, store, lambda one: published(one, store))
    # Who finds all of it done needs no right to write.
    done = complete(pipeline, store)
    if done is not None:
        typer.echo(f"nothing to do: {done.dataset.spec} has all samples", err=True)
        result = done
    else:
        new = _new(store)
        check_run(pipeline, store)
        check_room(pipeline, store, cluster.limits(), trains=False)
        typer.echo(new, err=True, nl=bool(new))
        with watching(STARTING), embedded():
            from ritz.flows.generate import generate as flow
            from ritz.flows.launch import launch

            result = launch(flow, recipe, changes, _absolute(store), profile)
    _report(result, as_json, ("dataset", "ledger"))


def train(
    recipe: Recipe,
    dataset: DatasetName,
    overrides: Overrides = None,
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    as_json: Json = False,
) -> None:
    """Train the surrogate of a recipe offline on a published dataset.

    Example: ritz train darcy --dataset darcy@v1 --set surrogate.width=48
    """
    from ritz.tasks.recipes import load, load_profile

    changes = _changes(overrides, None)
    pipeline = load(recipe, changes, stages=(), store_url=store)
    from ritz.flows.terminal import STARTING, watching
    from ritz.tasks.checks import check_training

    check_training(pipeline, store, dataset)
    load_profile(profile).check(("train",))
    with watching(STARTING), embedded():
        from ritz.flows.launch import launch
        from ritz.flows.train import train as flow

        result = launch(flow, recipe, changes, dataset, _absolute(store), profile)
    _report(result, as_json, ("model", "dataset", "training"))


def evaluate(
    model: ModelName,
    dataset: DatasetName,
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    as_json: Json = False,
) -> None:
    """Measure a model, the baselines and what it costs beside a solver on the test split of a dataset.

    Example: ritz evaluate darcy@v1 --dataset darcy@v1
    """
    from ritz.flows.terminal import STARTING, watching
    from ritz.tasks.checks import check_measuring
    from ritz.tasks.recipes import load_profile

    check_measuring(store, model, dataset, ("train", "test"))
    load_profile(profile).check(("train",))
    with watching(STARTING), embedded():
        from ritz.flows.evaluate import evaluate as flow
        from ritz.flows.launch import launch

        result = launch(flow, model, dataset, _absolute(store), profile)
    _report(result, as_json, ("model", "metrics", "baselines", "cost", "break_even"))


def quantify(
    model: ModelName,
    dataset: DatasetName,
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    as_json: Json = False,
) -> None:
    """Calibrate the bands of a model and measure their coverage.

    Example: ritz quantify darcy@v1 --dataset darcy@v1
    """
    from ritz.flows.terminal import STARTING, watching
    from ritz.tasks.checks import check_measuring
    from ritz.tasks.recipes import load_profile

    check_measuring(store, model, dataset, ("validate", "calibrate", "test"))
    load_profile(profile).check(("train",))
    with watching(STARTING), embedded():
        from ritz.flows.launch import launch
        from ritz.flows.quantify import quantify as flow

        result = launch(flow, model, dataset, _absolute(store), profile)
    _report(result, as_json, ("model", "coverage"))


def predict(
    model: ModelName,
    source: Annotated[
        Path, typer.Option("--input", help="The input variables: NetCDF, or Zarr in a folder, a zip or Icechunk.")
    ],
    target: Annotated[Path, typer.Option("--output", help="Where to write: .nc for NetCDF, .zarr for Zarr.")],
    sample_dim: Annotated[
        str | None, typer.Option("--sample-dim", help="Dimension of the samples in the input, if not 'sample'.")
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Predict, with bands, the outputs for given inputs.

    Example: ritz predict darcy --input a.nc --output u.nc
    """
    from ritz.flows.terminal import print_json
    from ritz.tasks.prediction.predict import predict as work

    result = work(store, model, file_of(source), file_of(target), sample_dim)
    for remark in result.remarks:
        typer.echo(remark, err=True)
    if not result.released:
        typer.echo(f"{result.model} is not released: see `ritz show {result.model}`", err=True)
    if as_json:
        print_json(result.document())
    else:
        bands = f", with bands {result.calibrated}" if result.calibrated else ""
        typer.echo(f"{result.samples} predictions by {result.model} in {result.output}{bands}")


def _changes(overrides: list[str] | None, samples: int | None) -> Changes:
    from ritz.tasks.parsing.overrides import add, parse_assignments

    changes = parse_assignments(overrides or [])
    if samples is not None:
        add(changes, "data.samples", samples, "--samples, ")
    return changes


def _new(store: str) -> str:
    """Return in words that a store will be made, which may be one that was mistyped; nothing if it is there."""
    from ritz.storage.store import Store

    place = Store(store)
    nothing = place.nothing()
    mistyped = nothing.partition("; did you mean")
    return f"new store {place.url}{''.join(mistyped[1:])}" if nothing else ""


def _absolute(store: str) -> str:
    """Return the URL that means the same store in every process."""
    from ritz.storage.store import Store

    return Store(store).url


def _report(result: Part, as_json: bool, parts: tuple[str, ...]) -> None:
    import yaml

    from ritz.flows.terminal import print_json

    document = result.document()
    if as_json:
        print_json(document)
    else:
        typer.echo(yaml.safe_dump({part: document[part] for part in parts}, sort_keys=False).rstrip())
