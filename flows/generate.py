from __future__ import annotations

from prefect import flow

from ritz.tasks.generation import generate as stage
from ritz.tasks.generation.result import Generated
from ritz.tasks.preparing import Generate, prepare
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
    prepared = prepare(Generate.read(recipe, overrides, store), store, profile)
    if prepared.done is not None:
        return prepared.done
    with prepared.profile.open(Generate.roles) as cluster:
        return stage.generate(prepared.work, prepared.store, cluster)
