from __future__ import annotations

import dataclasses
from typing import Any

from prefect import flow

from ritz.tasks.checks import check_run
from ritz.tasks.generation import generate as stage
from ritz.tasks.generation.growth import planned, published
from ritz.tasks.recipes import load, load_profile
from ritz.tasks.resources import check_room
from ritz.tasks.signals import stoppable


@flow(name="generate")
@stoppable
def generate(recipe: str, overrides: dict[str, Any] | None, store: str, profile: str = "local") -> dict[str, Any]:
    """Make the dataset of a recipe; return ``dataset``, ``ledger``, ``choice``, ``panel``, ``seconds``.

    Raises
    ------
    ritz.tasks.recipes.RecipeError
        For bad input, before any work.
    """
    pipeline = planned(load(recipe, overrides, stages=(), store_url=store), store, lambda one: published(one, store))
    check_run(pipeline, store)
    place = load_profile(profile)
    check_room(pipeline, store, place.limits(), trains=False)
    with place.open(("solve",)) as cluster:
        generated = stage.generate(pipeline, store, cluster)
    return dataclasses.asdict(generated)
