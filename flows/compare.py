from __future__ import annotations

from prefect import flow

from ritz.compute.document import Json
from ritz.tasks.comparison import compare as stage
from ritz.tasks.comparison.comparison_record import ComparisonRecord
from ritz.tasks.comparison.plan import FRESH, SEEDS
from ritz.tasks.driver.signals import stoppable
from ritz.tasks.generation.generate import generate
from ritz.tasks.generation.result import complete
from ritz.tasks.parsing.overrides import assignments
from ritz.tasks.preparing import prepare
from ritz.tasks.requests.solving import Compare


@flow(name="compare")
@stoppable
def online_offline(
    recipe: str,
    overrides: dict[str, object] | None,
    store: str,
    profile: str = "local",
    seeds: int = SEEDS,
    samples: int | None = None,
    epochs: float | None = None,
    fresh: int = FRESH,
) -> ComparisonRecord:
    """Train the surrogate of a recipe online and offline and compare; return the record.

    All simulations are solved once, into the dataset ``<name>-compare``; `ritz.tasks.comparison.plan.contest` has the
    other parameters. What is solved or trained already is not done again.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        For bad input, before any work.
    ritz.storage.errors.StorageError
        If the dataset cannot be made.
    """
    sizes: Json = {"seeds": seeds, "samples": samples, "epochs": epochs, "fresh": fresh}
    prepared = prepare(Compare.read(recipe, overrides, store, **sizes), store, profile)
    if prepared.done is not None:
        return prepared.done
    compared, store = prepared.work, prepared.store
    place = ("--store", store, "--profile", profile)
    command = ["ritz", "compare", "online-offline", recipe, *place, *assignments(overrides)]
    for name, value in sizes.items():
        command += [f"--{name}", str(value)] if value is not None else []
    with prepared.profile.open(Compare.roles) as cluster:
        made = complete(compared.pipeline, store) or generate(compared.pipeline, store, cluster)
        record: ComparisonRecord = stage.compare(compared, store, cluster, made, command)
    return record
