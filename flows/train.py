from __future__ import annotations

from prefect import flow

from ritz.compute.document import DocumentPart, Number
from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.storage.store import Store
from ritz.tasks.catalogue.asked import write_asked
from ritz.tasks.checks import check_ranks
from ritz.tasks.documents.card import ModelVersion, Origin
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.documents.records import fit_lock
from ritz.tasks.documents.training import TrainingSummary
from ritz.tasks.driver.limit import limited
from ritz.tasks.driver.signals import stoppable
from ritz.tasks.preparing import prepare
from ritz.tasks.requests.learning import Train
from ritz.tasks.training import train as stage
from ritz.tasks.training.members import train_members
from ritz.tasks.training.worker import register


class FinishedTraining(DocumentPart):
    """A model that was trained, on what, how, and how many seconds it took."""

    model: ModelVersion
    dataset: DatasetVersion
    training: TrainingSummary
    seconds: Number


@flow(name="train")
@stoppable
def train(
    recipe: str, overrides: dict[str, object] | None, dataset: str, store: str, profile: str = "local"
) -> FinishedTraining:
    """Train the surrogate of a recipe offline on a published dataset.

    Parameters
    ----------
    dataset
        ``NAME@VERSION``; it may come from anybody's recipe.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        For bad input, before any work.
    """
    prepared = prepare(Train.read(recipe, overrides, store, dataset), store, profile)
    fit, store = prepared.work, prepared.store
    pipeline, version = fit.pipeline, fit.dataset
    source = DatasetVersion(name=version.name, version=version.version, snapshot=version.snapshot)
    identity = pipeline.model_identity("offline", version.snapshot)
    lock = Store(store).lock(fit_lock(identity), f"this training of {pipeline.name!r} in {Store(store).url}")
    with lock, limited(prepared.profile.time_limit), prepared.profile.open(Train.roles) as cluster:
        check_ranks(pipeline, cluster)
        trained = stage.train(
            pipeline,
            store,
            cluster,
            identity=identity,
            dataset=version.name,
            version=version.version,
            shards=fit.data.n_shards,
            samples=fit.samples,
        )
        if isinstance(pipeline.surrogate, Ensemble):
            trained = train_members(
                pipeline, cluster, pipeline.surrogate, trained, identity=identity, version=version.version
            )
        origin = Origin(
            name=pipeline.name,
            dataset=source,
            recipe=pipeline.document(),
            mode="offline",
            training=trained.summary,
        )
        model = cluster.call("train", register, store, trained.identity, pipeline.name, origin)
    write_asked(pipeline.catalogue, store)
    return FinishedTraining(model=model, dataset=source, training=trained.summary, seconds=trained.seconds)
