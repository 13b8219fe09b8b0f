"""What a deployment runs and where, kept by the process that serves it and out of reach of callers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ritz.tasks.errors import RecipeError

VARIABLE = "RITZ_SERVED"
"""Environment variable by which the processes of the runs find the bindings: a JSON object by deployment id."""


@dataclass(frozen=True)
class Binding:
    """Recipe, store and profile of a deployment, as `ritz.flows.run.run` takes them.

    None of them is a parameter of the served flow: a caller who could name a profile would name the scheduler whose
    pickles are run, and one who could name a store or a recipe would read and write files of the owner.
    """

    recipe: str
    store: str
    profile: str


def bind(deployments: Mapping[str, Binding]) -> None:
    """Hand the bindings, by deployment id, to the processes that this one starts."""
    os.environ[VARIABLE] = json.dumps({deployment: asdict(binding) for deployment, binding in deployments.items()})


def bound(deployment: str | None) -> Binding:
    """Return the binding of a deployment.

    Raises
    ------
    RecipeError
        If this process does not serve it.
    """
    bindings = json.loads(os.environ.get(VARIABLE, "{}"))
    if deployment not in bindings:
        raise RecipeError(f"deployment {deployment!r} is not served by this process; start its runs with `ritz serve`")
    return Binding(**bindings[deployment])
