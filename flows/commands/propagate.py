"""Answers about populations."""

from __future__ import annotations

from typing import Annotated

import typer

from ritz.flows.commands.options import Json, Overrides, ProfileName, StoreUrl
from ritz.flows.server.access import embedded
from ritz.flows.settings import DEFAULT_STORE


def propagate(
    about: Annotated[
        str,
        typer.Argument(
            metavar="MODEL[@VERSION]|RECIPE",
            help="A model of the store, whose predictions may be used, or a recipe without one.",
        ),
    ],
    quantity: Annotated[
        list[str] | None,
        typer.Option(
            "--quantity",
            metavar="KIND:OUTPUT",
            help="What follows from a field: mean:u, max:u, norm:u, at:u:0.5,0.5, integral:u, flux:u:x_high, with a "
            "time as mean:u@0.5; repeatable.",
        ),
    ] = None,
    error: Annotated[
        list[float] | None,
        typer.Option(
            "--error", help="Half width of the intervals to reach; repeatable, one for each quantity in their order."
        ),
    ] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="Time to spend in place of an error.")] = None,
    deviation: Annotated[bool, typer.Option("--deviation", help="Ask for the standard deviations.")] = False,
    above: Annotated[
        float | None, typer.Option("--above", help="Ask for the probability that the quantities lie above this.")
    ] = None,
    quantile: Annotated[
        float | None, typer.Option("--quantile", help="Ask for the quantile of this share; needs --seconds.")
    ] = None,
    sensitivity: Annotated[
        int | None,
        typer.Option(
            "--sensitivity",
            metavar="COORDINATES",
            help="Ask for the Sobol' indices of so many leading coordinates of the law; needs --seconds.",
        ),
    ] = None,
    law: Annotated[
        str | None,
        typer.Option(
            "--law",
            metavar="FIELDS",
            help="Another law: its fields with other values as YAML, e.g. '{sigma: 1.5}'; or that of the rows of a "
            "dataset, e.g. '{kind: empirical, dataset: NAME}', '{kind: pca_copula, dataset: NAME, components: 8}'.",
        ),
    ] = None,
    rung: Annotated[
        list[str] | None,
        typer.Option("--rung", help="A cheap rung that may be used, by its name; repeatable, all by default."),
    ] = None,
    only_solves: Annotated[bool, typer.Option("--only-solves", help="Use no cheap rung.")] = False,
    level: Annotated[float, typer.Option("--level", help="Of the intervals.")] = 0.95,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the population; that of the data by default.")] = None,
    overrides: Overrides = None,
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    as_json: Json = False,
) -> None:
    """Answer a question about the population of a law: means, deviations, probabilities, quantiles, Sobol' indices.

    The interval holds whatever the model is worth: it is solves that answer, and cheaper rungs only where they pay.

    Example: ritz propagate darcy@v1 --quantity mean:u --error 0.0005

    Example: ritz propagate darcy --quantity max:u --above 0.15 --error 0.01

    Example: ritz propagate darcy --quantity max:u --deviation --error 0.001 --law '{kind: empirical, dataset: rough}'
    """
    from ritz.tasks.errors import RecipeError
    from ritz.tasks.parsing.asked_quantity import asked_quantities
    from ritz.tasks.parsing.overrides import parse_assignments
    from ritz.tasks.preparing import prepare
    from ritz.tasks.requests.propagation import Propagate

    if not quantity:
        raise RecipeError("--quantity is missing, expected one or more, e.g. --quantity mean:u")
    if only_solves and rung:
        raise RecipeError(f"--only-solves with --rung {rung[0]!r}, expected one of them")
    asked: dict[str, object] = {
        "quantities": [one.model_dump(mode="json") for one in asked_quantities(quantity)],
        "level": level,
    }
    given = {
        "error": None if not error else error[0] if len(error) == 1 else error,
        "seconds": seconds,
        "deviation": deviation or None,
        "above": above,
        "quantile": quantile,
        "sensitivity": sensitivity,
        "rungs": [] if only_solves else rung or None,
    }
    asked |= {name: value for name, value in given.items() if value is not None}
    changes = parse_assignments(overrides or [])
    prepared = prepare(Propagate(about, asked, law, seed, changes), store, profile)
    if prepared.done is not None:
        typer.echo("nothing to do: this was asked before", err=True)
        found = prepared.done
    else:
        from ritz.flows.terminal import STARTING, watching

        with watching(STARTING), embedded():
            from ritz.flows.launch import launch
            from ritz.flows.propagate import propagate as flow

            found = launch(flow, about, asked, prepared.store, law, seed, changes, profile)
    from ritz.flows.terminal import print_json, print_table
    from ritz.tasks.views.propagated import answers, lines, rungs

    if as_json:
        print_json(found.document())
        return
    print_table(answers(found))
    typer.echo("")
    print_table(rungs(found))
    for line in lines(found):
        typer.echo(line)
