from __future__ import annotations

import numpy as np
from prefect import flow

from ritz.compute.document import Number, Part
from ritz.storage.datasets import Dataset
from ritz.storage.reading import resolve
from ritz.storage.store import Store
from ritz.tasks.checks import check_ranks, check_training
from ritz.tasks.documents.card import ModelVersion, Origin
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.documents.records import fit_lock
from ritz.tasks.documents.training import TrainingSummary
from ritz.tasks.recipes import load, load_profile
from ritz.tasks.signals import stoppable
from ritz.tasks.training import train as stage
from ritz.tasks.training.worker import register


class TrainedModel(Part):
    """A model that was trained, on what, how, and how many seconds it took."""

    model: ModelVersion
    dataset: DatasetVersion
    training: TrainingSummary
    seconds: Number


@flow(name="train")
@stoppable
def train(
    recipe: str, overrides: dict[str, object] | None, dataset: str, store: str, profile: str = "local"
) -> TrainedModel:
    """Train the surrogate of a recipe offline on a published dataset.

    Parameters
    ----------
    dataset
        ``NAME@VERSION``; it may come from anybody's recipe.

    Raises
    ------
    ritz.tasks.recipes.RecipeError
        For bad input, before any work.
    """
    pipeline = load(recipe, overrides, stages=(), store_url=store)
    check_training(pipeline, store, dataset)
    version = resolve(Store(store), dataset)
    data = Dataset.open(Store(store), version.name).at(version.version)
    source = DatasetVersion(name=version.name, version=version.version, snapshot=version.snapshot)
    identity = pipeline.model_identity("offline", version.snapshot)
    lock = Store(store).lock(fit_lock(identity), f"this training of {pipeline.name!r} in {Store(store).url}")
    with lock, load_profile(profile).open(("train",)) as cluster:
        check_ranks(pipeline, cluster)
        trained = stage.train(
            pipeline,
            store,
            cluster,
            identity=identity,
            dataset=version.name,
            version=version.version,
            shards=data.n_shards,
            samples=int(np.count_nonzero(data.index()[1] == "train")),
        )
        origin = Origin(
            name=pipeline.name,
            dataset=source,
            recipe=pipeline.document(),
            mode="offline",
            training=trained.summary,
        )
        model = cluster.call("train", register, store, trained.identity, pipeline.name, origin)
    return TrainedModel(model=model, dataset=source, training=trained.summary, seconds=trained.seconds)
