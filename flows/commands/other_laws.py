"""Error bars of a model on laws other than that of its dataset."""

from __future__ import annotations

from ritz.flows.server.access import embedded
from ritz.tasks.errors import RecipeError


def recalibrate(
    model: str,
    dataset: str,
    law: str | None,
    solves: int | None,
    name: str | None,
    store: str,
    profile: str,
    as_json: bool,
) -> None:
    """Calibrate bands of a model for another law, and print what they hold; see `ritz.flows.recalibrate`."""
    if law is None:
        option, given = ("--name", name) if solves is None else ("--solves", solves)
        raise RecipeError(f"{option} is {given!r} without --law, expected the law too, e.g. --law '{{sigma: 1.5}}'")
    from ritz.flows.commands.stages import report
    from ritz.flows.terminal import STARTING, watching
    from ritz.tasks.preparing import prepare
    from ritz.tasks.requests.recalibration import SOLVES, Recalibrate

    count = SOLVES if solves is None else solves
    prepared = prepare(Recalibrate(model, dataset, law, count, name), store, profile)
    with watching(STARTING), embedded():
        from ritz.flows.launch import launch
        from ritz.flows.recalibrate import recalibrate as flow

        result = launch(flow, model, dataset, law, prepared.store, count, name, profile)
    from ritz.tasks.views.recalibrated import lines, rows

    report(result, as_json, f"model {result.model.spec}", rows(result), lines(result, result.model.spec))
