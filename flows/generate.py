from __future__ import annotations

import dataclasses
from typing import Any

from prefect import flow

from ritz.tasks.generation import generate as stage
from ritz.tasks.preparing import Generate, prepare
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
    prepared = prepare(Generate.read(recipe, overrides, store), store, profile)
    generated = prepared.done
    if generated is None:
        with prepared.profile.open(Generate.roles) as cluster:
            generated = stage.generate(prepared.work, prepared.store, cluster)
    return dataclasses.asdict(generated)
