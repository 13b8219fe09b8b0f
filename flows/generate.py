from __future__ import annotations

from prefect import flow

from ritz.tasks.checks import check_run
from ritz.tasks.generation import generate as stage
from ritz.tasks.generation.growth import planned, published
from ritz.tasks.generation.result import Generated
from ritz.tasks.recipes import load, load_profile
from ritz.tasks.resources import check_room
from ritz.tasks.signals import stoppable


@flow(name="generate")
@stoppable
def generate(recipe: str, overrides: dict[str, object] | None, store: str, profile: str = "local") -> Generated:
    """Make the dataset of a recipe.

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
        return stage.generate(pipeline, store, cluster)
