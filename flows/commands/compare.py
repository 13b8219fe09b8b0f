from __future__ import annotations

from typing import Annotated

import typer

from ritz.flows.commands.options import Json, Overrides, ProfileName, Recipe, StoreUrl
from ritz.flows.server.access import embedded
from ritz.flows.settings import DEFAULT_STORE

app = typer.Typer(
    no_args_is_help=True,
    help="Compare ways of training over seeds.\n\nExample: ritz compare online-offline heat --seeds 6",
)


@app.callback()
def _group() -> None:
    pass


@app.command()
def online_offline(
    recipe: Recipe,
    overrides: Overrides = None,
    seeds: Annotated[int, typer.Option(min=2, help="Pairs: the same first weights, the same test set.")] = 6,
    samples: Annotated[int | None, typer.Option(min=1, help="Simulations of offline training.")] = None,
    epochs: Annotated[float | None, typer.Option(min=1e-6, help="Epochs of offline training.")] = None,
    fresh: Annotated[
        int, typer.Option(min=2, help="Online simulations at equal steps, as a multiple of the offline ones.")
    ] = 4,
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    as_json: Json = False,
) -> None:
    """Train offline on a fixed set of simulations and online on fresh ones; compare with intervals over seeds.

    At equal gradient steps, equal solves and equal wall time. The same command goes on after a kill.
    Example: ritz compare online-offline heat --set surrogate=fully_connected --samples 100 --epochs 100 --fresh 8
    """
    from ritz.flows.terminal import STARTING, print_json, print_table, watching
    from ritz.tasks.comparison.gains import PUBLISHED, rows, sentences
    from ritz.tasks.parsing.overrides import parse_assignments
    from ritz.tasks.preparing import prepare
    from ritz.tasks.requests.solving import Compare

    changes = parse_assignments(overrides or [])
    asked = Compare.read(recipe, changes, store, seeds=seeds, samples=samples, epochs=epochs, fresh=fresh)
    prepared = prepare(asked, store, profile)
    record = prepared.done
    if record is None:
        with watching(STARTING), embedded():
            from ritz.flows.compare import online_offline as flow
            from ritz.flows.launch import launch

            record = launch(flow, recipe, changes, prepared.store, profile, seeds, samples, epochs, fresh)
    else:
        typer.echo(f"nothing to do: comparison {record.comparison} has all {seeds} seeds", err=True)
    if as_json:
        print_json(record.document())
        return
    print_table(rows(record))
    for sentence in sentences(record):
        typer.echo(sentence)
    published = ", ".join(f"{name.replace('_', ' ')} {value:+.0%}" for name, value in PUBLISHED.items())
    typer.echo(f"published: {published} (Meyer et al., ICML 2023, arXiv:2306.16133)\npage {record.paths.page}")
