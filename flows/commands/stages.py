from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
from ritz.flows.server.access import embedded
from ritz.flows.settings import DEFAULT_STORE

if TYPE_CHECKING:
    from ritz.compute.document import DocumentPart
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
    from ritz.tasks.preparing import prepare
    from ritz.tasks.requests.solving import Run

    changes = _changes(overrides, samples)
    asked = Run.read(recipe, changes, store)
    # A recipe that is refused waits for no more than it takes to read.
    from ritz.flows.terminal import STARTING, print_json, print_table, watching

    log = logging.getLogger("ritz")
    with watching():
        prepared = prepare(asked, store, profile, begin=lambda: log.info(STARTING))
        if prepared.done is None:
            if prepared.new_store:
                log.info("store: %s", prepared.new_store)
            with embedded("ritz.flows.run"):
                from ritz.flows.launch import launch
                from ritz.flows.run import run as flow

                record = launch(flow, recipe, changes, prepared.store, profile)
        else:
            from ritz.tasks.measuring.release import judged_again

            record = judged_again(prepared.store, prepared.done, prepared.work)
            typer.echo(f"nothing to do: run {record.run} has done all of it", err=True)
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
    """Solve and publish the dataset of a recipe; grow a published one to more samples.

    Example: ritz generate darcy --samples 4096
    """
    from ritz.tasks.preparing import prepare
    from ritz.tasks.requests.solving import Generate

    changes = _changes(overrides, samples)
    # Who finds all of it done needs no right to write.
    prepared = prepare(Generate.read(recipe, changes, store), store, profile)
    if prepared.done is not None:
        typer.echo(f"nothing to do: {prepared.done.dataset.spec} has all samples", err=True)
        generated = prepared.done
    else:
        from ritz.flows.terminal import STARTING, watching

        typer.echo(prepared.new_store, err=True, nl=bool(prepared.new_store))
        with watching(STARTING), embedded():
            from ritz.flows.generate import generate as flow
            from ritz.flows.launch import launch

            generated = launch(flow, recipe, changes, prepared.store, profile)
    from ritz.tasks.views.generated import rows

    report(generated, as_json, f"dataset {generated.dataset.spec}", rows(generated))


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
    from ritz.tasks.preparing import prepare
    from ritz.tasks.requests.learning import Train

    changes = _changes(overrides, None)
    prepared = prepare(Train.read(recipe, changes, store, dataset), store, profile)
    from ritz.flows.terminal import STARTING, watching

    with watching(STARTING), embedded():
        from ritz.flows.launch import launch
        from ritz.flows.train import train as flow

        result = launch(flow, recipe, changes, dataset, prepared.store, profile)
    from ritz.tasks.views.trained import rows

    report(result, as_json, f"model {result.model.spec}, trained on {result.dataset.spec}", rows(result.training))


def evaluate(
    model: ModelName,
    dataset: DatasetName,
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    as_json: Json = False,
) -> None:
    """Measure a model and baselines on the test split of a dataset, and the cost beside a solver.

    Example: ritz evaluate darcy@v1 --dataset darcy@v1
    """
    from ritz.flows.terminal import STARTING, watching
    from ritz.tasks.preparing import prepare
    from ritz.tasks.requests.learning import Evaluate

    prepared = prepare(Evaluate(model, dataset), store, profile)
    with watching(STARTING), embedded():
        from ritz.flows.evaluate import evaluate as flow
        from ritz.flows.launch import launch

        result = launch(flow, model, dataset, prepared.store, profile)
    from ritz.tasks.views.evaluated import lines, rows

    report(
        result,
        as_json,
        f"model {result.model.spec}",
        rows(result),
        [*lines(result, result.break_even), f"page {result.page}"],
    )


def quantify(
    model: ModelName,
    dataset: DatasetName,
    law: Annotated[
        str | None,
        typer.Option(
            "--law",
            metavar="FIELDS|NAME",
            help="Calibrate further bands for another law, on fresh solves of it: fields of the law, or of the "
            "problem, with other values as YAML, e.g. '{sigma: 1.5}'; or one of uncertainty.shifts of the recipe of "
            "the model.",
        ),
    ] = None,
    solves: Annotated[
        int | None, typer.Option("--solves", help="With --law: samples that are solved to calibrate on, 50 by default.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="With --law: name of the bands, made of the values of the law by default."),
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    as_json: Json = False,
) -> None:
    """Calibrate the bands of a model and measure their coverage; with --law, further bands for another law.

    Example: ritz quantify darcy@v1 --dataset darcy@v1

    Example: ritz quantify darcy@v1 --dataset darcy@v1 --law '{sigma: 1.5}' --solves 50
    """
    if law is not None or solves is not None or name is not None:
        from ritz.flows.commands.other_laws import recalibrate

        recalibrate(model, dataset, law, solves, name, store, profile, as_json)
        return
    from ritz.flows.terminal import STARTING, watching
    from ritz.tasks.preparing import prepare
    from ritz.tasks.requests.learning import Quantify

    prepared = prepare(Quantify(model, dataset), store, profile)
    with watching(STARTING), embedded():
        from ritz.flows.launch import launch
        from ritz.flows.quantify import quantify as flow

        result = launch(flow, model, dataset, prepared.store, profile)
    from ritz.tasks.views.calibrated import lines, rows

    report(result, as_json, f"model {result.model.spec}", rows(result), [*lines(result), f"page {result.page}"])


def predict(
    model: ModelName,
    source: Annotated[
        Path, typer.Option("--input", help="The input variables: NetCDF, or Zarr in a folder, a zip or Icechunk.")
    ],
    target: Annotated[Path, typer.Option("--output", help="File to write: .nc for NetCDF, .zarr for Zarr.")],
    sample_dim: Annotated[
        str | None, typer.Option("--sample-dim", help="Dimension of the samples in the input, if not 'sample'.")
    ] = None,
    verify: Annotated[
        float | None,
        typer.Option(
            "--verify",
            metavar="TOL",
            help="Also give fields whose estimated relative error is at most this: by the equations, corrected where "
            "the prediction's is above, and solved where a correction does not do. With --times at every step.",
        ),
    ] = None,
    certify: Annotated[
        float | None,
        typer.Option(
            "--certify",
            metavar="RTOL",
            help="Also solve every sample to this true relative residual, from the start that is measured to be the "
            "quickest: the problem's own, the prediction, or solved samples that are alike.",
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option("--keep", metavar="NAME", help="With --certify: keep the certified samples as a new dataset."),
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option(
            "--bands",
            metavar="LAW",
            help="Take the bands that `ritz quantify --law` calibrated for the law of this name.",
        ),
    ] = None,
    scope: Annotated[
        Literal["points", "fields"],
        typer.Option(
            "--scope",
            help="What the level of a band is: the expected share of the points inside, or the probability that the "
            "whole field is.",
        ),
    ] = "points",
    times: Annotated[
        str | None,
        typer.Option(
            "--times",
            metavar="TIMES",
            help="Times to predict, of a surrogate that steps through time: a list as 0.5,1,2 or START:END:STEP.",
        ),
    ] = None,
    members: Annotated[
        int | None,
        typer.Option(
            "--members",
            metavar="N",
            help="Also give N draws of each prediction, of a surrogate that draws: a refiner or an ensemble.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Fixes the draws of --members; 0 by default.")] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Exit with code 1 if a sample is flagged, the inputs cannot be judged, --verify found no good "
            "answer, or a sample is not certified.",
        ),
    ] = False,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Predict, with bands, the outputs for given inputs.

    Example: ritz predict darcy --input a.nc --output u.nc --verify 0.001

    Example: ritz predict darcy --input a.nc --output u.nc --certify 1e-8 --keep darcy-mine
    """
    from ritz.flows.terminal import print_json
    from ritz.tasks.prediction.predict import predict as work

    result = work(
        *(store, model, file_of(source), file_of(target), sample_dim, verify, bands, scope, times, members, seed),
        certify,
        keep,
    )
    for remark in result.remarks:
        typer.echo(remark, err=True)
    if not result.released:
        typer.echo(f"{result.model} is not released: see `ritz show {result.model}`", err=True)
    if as_json:
        print_json(result.document())
    else:
        with_bands = f", with bands {result.calibrated}" if result.calibrated else ""
        typer.echo(f"{result.samples} predictions by {result.model} in {result.output}{with_bands}")
    if strict and (objection := result.objection()):
        typer.echo(f"--strict: {objection}", err=True)
        raise typer.Exit(1)


def _changes(overrides: list[str] | None, samples: int | None) -> Changes:
    from ritz.tasks.parsing.overrides import add, parse_assignments

    changes = parse_assignments(overrides or [])
    if samples is not None:
        add(changes, "data.samples", samples, "--samples, ")
    return changes


def report(
    result: DocumentPart, as_json: bool, heading: str, rows: list[dict[str, str]], lines: Sequence[str] = ()
) -> None:
    """Print what came of a stage, as JSON or as a table with some lines below it."""
    from ritz.flows.terminal import print_json, print_table

    if as_json:
        print_json(result.document())
        return
    typer.echo(heading)
    print_table(rows)
    for line in lines:
        typer.echo(line)
