from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_table_artifact

from ritz.tasks.documents.propagation import PropagationRecord
from ritz.tasks.driver.limit import limited
from ritz.tasks.driver.signals import stoppable
from ritz.tasks.preparing import prepare
from ritz.tasks.propagation import propagate as stage
from ritz.tasks.requests.propagation import Propagate
from ritz.tasks.stage import artifact_key, show
from ritz.tasks.views.propagated import answers


@flow(name="propagate")
@stoppable
def propagate(
    about: str,
    question: dict[str, object],
    store: str,
    law: str | dict[str, object] | None = None,
    seed: int | None = None,
    overrides: dict[str, object] | None = None,
    profile: str = "local",
) -> PropagationRecord:
    """Answer a question about the population of a law: what ``ritz propagate`` starts.

    Parameters
    ----------
    about
        A model of the store, ``NAME[@VERSION]``, or a recipe.
    question
        Fields of `ritz.compute.uncertainty.propagation.propagation.Propagation`, e.g. ``{"quantities": [{"kind":
        "mean", "of": "u"}], "error": 0.001}``.
    law
        Fields of the law with other values, or kind, dataset and parameters of a law of rows.
    seed
        Of the population.
    overrides
        Of the recipe.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        For bad input, before any work.
    ritz.storage.errors.Refused
        If the time is too short for the pilot, or a sample has no answer.
    """
    prepared = prepare(Propagate(about, question, law, seed, overrides), store, profile)
    if prepared.done is not None:
        return prepared.done
    with limited(prepared.profile.time_limit), prepared.profile.open(prepared.work.roles) as cluster:
        found: PropagationRecord = stage.propagate(prepared.store, cluster, prepared.work)
    key = artifact_key(found.about.partition("@")[0], "propagation")
    show(create_table_artifact, answers(found), key=key, description=f"The population of {found.about}")
    return found
