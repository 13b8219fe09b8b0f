from __future__ import annotations

from prefect import flow

from ritz.compute.document import Json
from ritz.tasks.checks import check_run
from ritz.tasks.comparison import compare as stage
from ritz.tasks.comparison.comparison_record import ComparisonRecord
from ritz.tasks.comparison.plan import FRESH, SEEDS, contest, finished
from ritz.tasks.generation.generate import generate
from ritz.tasks.generation.result import complete
from ritz.tasks.parsing.overrides import assignments
from ritz.tasks.recipes import load, load_profile
from ritz.tasks.resources import check_room
from ritz.tasks.signals import stoppable


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
    ritz.tasks.recipes.RecipeError
        For bad input, before any work.
    ritz.storage.errors.StorageError
        If the dataset cannot be made.
    """
    sizes: Json = {"seeds": seeds, "samples": samples, "epochs": epochs, "fresh": fresh}
    compared = contest(load(recipe, overrides, stages=(), store_url=store), **sizes)
    done = finished(compared, store)
    if done is not None:
        return done
    check_run(compared.pipeline, store, trains=True)
    check_room(compared.pipeline, store, load_profile(profile).limits(), trains=True)
    place = ("--store", store, "--profile", profile)
    command = ["ritz", "compare", "online-offline", recipe, *place, *assignments(overrides)]
    for name, value in sizes.items():
        command += [f"--{name}", str(value)] if value is not None else []
    with load_profile(profile).open() as cluster:
        made = complete(compared.pipeline, store) or generate(compared.pipeline, store, cluster)
        record: ComparisonRecord = stage.compare(compared, store, cluster, made, command)
    return record
