from __future__ import annotations

import sys
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.server import ServerError, embedded
from flows.settings import DEFAULT_STORE, prepare_prefect

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a parametric PDE to a versioned dataset and a surrogate whose error bars are measured.\n\n"
    "Example: ritz run darcy --set problem.shape=[32,32] --store /data/ritz",
)

Recipe = Annotated[str, typer.Argument(help="Name of a shipped recipe (see `ritz recipes`) or path of a YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a field of the recipe; repeatable."),
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


def main() -> None:
    """Run the command line; bad input ends with one message on stderr and exit code 2."""
    prepare_prefect()
    from compute.cluster.profile import ClusterError
    from storage.errors import StorageError
    from tasks.predict import InputError
    from tasks.recipes import RecipeError

    try:
        app()
    except (RecipeError, StorageError, ClusterError, InputError, ServerError) as error:
        sys.stderr.write(f"ritz: {error}\n")
        sys.exit(2)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ritz {package_version('ritz')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


@app.command()
def run(
    recipe: Recipe,
    overrides: Overrides = None,
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    as_json: Json = False,
) -> None:
    """Generate, train online, evaluate, quantify and publish.

    Example: ritz run darcy --set data.samples=2048 --store /data/ritz
    """
    from flows.terminal import print_json, print_table, watching
    from tasks.checks import check_run
    from tasks.inspect import finished
    from tasks.recipes import load, load_profile, parse_assignments

    changes = parse_assignments(overrides or [])
    pipeline, cluster = load(recipe, changes), load_profile(profile)
    with watching():
        record = finished(pipeline, store)
        if record is None:
            cluster.check()
            check_run(pipeline, store)
            with embedded():
                from flows.run import run as flow

                record = flow(recipe, changes, _absolute(store), profile)
        else:
            typer.echo(f"nothing to do: run {record['run']} made all of it", err=True)
    if as_json:
        print_json(record)
    else:
        from tasks.summary import rows

        print_table(rows(record), header=False)
        typer.echo(f"report {record['paths']['report']}\nstore  {record['paths']['store']}")
    if not record["model"]["released"]:
        raise typer.Exit(1)


@app.command()
def generate(
    recipe: Recipe,
    overrides: Overrides = None,
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    as_json: Json = False,
) -> None:
    """Solve and publish the dataset of a recipe.

    Example: ritz generate darcy --set data.samples=512
    """
    from flows.terminal import watching
    from tasks.checks import check_run
    from tasks.recipes import load, load_profile, parse_assignments

    changes = parse_assignments(overrides or [])
    pipeline = load(recipe, changes)
    load_profile(profile).check()
    check_run(pipeline, store)
    with watching(), embedded():
        from flows.generate import generate as flow

        result = flow(recipe, changes, _absolute(store), profile)
    _report(result, as_json, ("dataset", "ledger"))


@app.command()
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
    from flows.terminal import watching
    from tasks.checks import check_training
    from tasks.recipes import load, load_profile, parse_assignments

    changes = parse_assignments(overrides or [])
    check_training(load(recipe, changes), store, dataset)
    load_profile(profile).check()
    with watching(), embedded():
        from flows.train import train as flow

        result = flow(recipe, changes, dataset, _absolute(store), profile)
    _report(result, as_json, ("model", "dataset", "training"))


@app.command()
def evaluate(
    model: ModelName,
    dataset: DatasetName,
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    as_json: Json = False,
) -> None:
    """Measure a model and the baselines on the test split of a dataset.

    Example: ritz evaluate darcy@v1 --dataset darcy@v1
    """
    from flows.terminal import watching
    from tasks.checks import check_measuring
    from tasks.recipes import load_profile

    check_measuring(store, model, dataset, ("train", "test"))
    load_profile(profile).check()
    with watching(), embedded():
        from flows.evaluate import evaluate as flow

        result = flow(model, dataset, _absolute(store), profile)
    _report(result, as_json, ("model", "metrics", "baselines"))


@app.command()
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
    from flows.terminal import watching
    from tasks.checks import check_measuring
    from tasks.recipes import load_profile

    check_measuring(store, model, dataset, ("validate", "calibrate", "test"))
    load_profile(profile).check()
    with watching(), embedded():
        from flows.quantify import quantify as flow

        result = flow(model, dataset, _absolute(store), profile)
    _report(result, as_json, ("model", "coverage"))


@app.command()
def predict(
    model: ModelName,
    source: Annotated[Path, typer.Option("--input", help="NetCDF file or Zarr store with the input variables.")],
    target: Annotated[Path, typer.Option("--output", help="Where to write: .nc for NetCDF, .zarr for Zarr.")],
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Predict, with bands, the outputs for given inputs.

    Example: ritz predict darcy --input a.nc --output u.nc
    """
    from flows.terminal import print_json
    from tasks.predict import predict as work

    result = work(store, model, source, target)
    if not result["released"]:
        typer.echo(f"{result['model']} is not released: see `ritz show {result['model']}`", err=True)
    if as_json:
        print_json(result)
    else:
        typer.echo(f"{result['samples']} predictions by {result['model']} in {result['output']}")


@app.command()
def serve(
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    recipes: Annotated[
        list[str] | None,
        typer.Option("--recipe", help="Serve only this recipe; repeatable. Default: all shipped."),
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the Prefect server, where none is configured.")] = 4200,
) -> None:
    """Serve every recipe as a Prefect deployment, on its schedule and on demand, until interrupted.

    Example: ritz serve --store /data/ritz
    """
    from tasks.recipes import load, load_profile, names

    wanted = recipes or names()
    for name in wanted:
        load(name)
    load_profile(profile).check()
    from flows.serve import serve as work

    work(wanted, _absolute(store), profile, port)


@app.command()
def trigger(
    recipe: Recipe,
    overrides: Overrides = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end of the run.")] = False,
    port: Annotated[int, typer.Option(help="Port of the Prefect server, where none is configured.")] = 4200,
    as_json: Json = False,
) -> None:
    """Start a run of a served recipe.

    Example: ritz trigger darcy --set data.samples=2048
    """
    from flows.terminal import print_json
    from tasks.recipes import load, parse_assignments

    changes = parse_assignments(overrides or [])
    load(recipe, changes)
    from flows.serve import trigger as work

    result = work(recipe, changes, port, wait)
    if as_json:
        print_json(result)
    else:
        typer.echo(f"flow run {result['flow_run']}: {result['state']}")
    if wait and result["state"] != "Completed":
        raise typer.Exit(1)


@app.command()
def recipes(as_json: Json = False) -> None:
    """List the shipped recipes.

    Example: ritz recipes
    """
    from tasks.recipes import load, names

    rows = []
    for name in names():
        pipeline = load(name)
        document = pipeline.document()
        rows.append(
            {
                "recipe": name,
                "problem": document["problem"]["kind"],
                "samples": pipeline.data.samples,
                "solver": document["solver"]["kind"],
                "surrogate": document["surrogate"]["kind"],
                "schedule": document["schedule"] and (document["schedule"]["cron"] or document["schedule"]["every"]),
            }
        )
    _list(rows, as_json)


@app.command()
def datasets(store: StoreUrl = DEFAULT_STORE, as_json: Json = False) -> None:
    """List the datasets of a store.

    Example: ritz datasets --store /data/ritz
    """
    from tasks.inspect import datasets as rows

    _list(rows(store), as_json)


@app.command()
def models(store: StoreUrl = DEFAULT_STORE, as_json: Json = False) -> None:
    """List the models of a store.

    Example: ritz models --json
    """
    from tasks.inspect import models as rows

    _list(rows(store), as_json)


@app.command()
def runs(store: StoreUrl = DEFAULT_STORE, as_json: Json = False) -> None:
    """List the runs of a store, newest last; with --json their whole records.

    Example: ritz runs --json
    """
    from tasks.inspect import records
    from tasks.inspect import runs as rows

    _list(records(store) if as_json else rows(store), as_json)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A dataset, a model, or a run.")],
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Show a dataset, the model of the same name, or a run.

    Example: ritz show darcy@v1
    """
    import yaml

    from flows.terminal import print_json
    from tasks.inspect import show as look

    found = look(store, name)
    if as_json:
        print_json(found)
    else:
        typer.echo(yaml.safe_dump(found, sort_keys=False).rstrip())


def _absolute(store: str) -> str:
    """Return the URL that means the same store in every process."""
    from storage.store import Store

    return Store(store).url


def _report(result: dict[str, Any], as_json: bool, parts: tuple[str, ...]) -> None:
    import yaml

    from flows.terminal import print_json

    if as_json:
        print_json(result)
    else:
        typer.echo(yaml.safe_dump({part: result[part] for part in parts}, sort_keys=False).rstrip())


def _list(rows: list[dict[str, Any]], as_json: bool) -> None:
    from flows.terminal import print_json, print_table

    if as_json:
        print_json(rows)
    else:
        print_table(rows)
