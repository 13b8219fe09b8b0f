"""What a deployment runs and where, kept by the process that serves it and out of reach of callers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from ritz.storage.wording import shown
from ritz.tasks.errors import RecipeError

Work = Literal["run", "train", "grow"]
"""What a deployment does: the whole pipeline, a training on a version, a growth of the dataset."""

VARIABLE = "RITZ_SERVED"
"""Environment variable by which the processes of the runs find the bindings: a JSON object.

Its keys are the ids of deployments, or for the worker of a pool, which is told of none, their names: ``ritz/NAME``.
"""


@dataclass(frozen=True)
class Binding:
    """Recipe, store and profile of a deployment, as `ritz.flows.run.run` takes them, and what is done with them.

    None of them is a parameter of the served flow: a caller who could name a profile would name the scheduler whose
    pickles are run, and one who could name a store or a recipe would read and write files of the owner. ``by`` and
    ``at_most`` bound the growth of a dataset; see `ritz.flows.serving.rules.Grow`.
    """

    recipe: str
    store: str
    profile: str
    work: Work = "run"
    by: int | None = None
    at_most: int | None = None


def bind(deployments: Mapping[str, Binding]) -> None:
    """Hand the bindings, by deployment id, to the processes that this one starts."""
    os.environ[VARIABLE] = json.dumps({deployment: asdict(binding) for deployment, binding in deployments.items()})


def served_here(deployment: str | None) -> bool:
    """Return whether `ritz serve` has started this process; it looks after its runs (`ritz.flows.serving.orphans`)."""
    try:
        return deployment is not None and deployment in json.loads(os.environ.get(VARIABLE, "{}"))
    except (ValueError, TypeError):
        # `bound` says what is wrong with it.
        return False


def bound(deployment: str | None, named: Callable[[], str | None] = lambda: None) -> Binding:
    """Return the binding of a deployment.

    Parameters
    ----------
    deployment
        Its id.
    named
        Returns its name, which the server is asked for only where the id is not known.

    Raises
    ------
    RecipeError
        If this process does not serve it, or what the variable holds is no binding.
    """
    text = os.environ.get(VARIABLE, "{}")
    try:
        bindings = json.loads(text)
        found = bindings.get(deployment)
        name = named() if found is None else None
        if found is None and name is not None:
            found = bindings.get(name)
        if found is not None:
            return Binding(**found)
    except (ValueError, TypeError, AttributeError) as error:
        raise RecipeError(
            f"{VARIABLE}: {shown(text)} is no table of deployments ({error}); expected a JSON object such as "
            '{"ritz/darcy": {"recipe": "darcy", "store": "s3://bucket/ritz", "profile": "local"}}'
        ) from None
    raise RecipeError(
        f"deployment {name or deployment!r} is not served by this process; start its runs with `ritz serve`, or name "
        f"it in {VARIABLE} where the worker of a pool starts them"
    )
