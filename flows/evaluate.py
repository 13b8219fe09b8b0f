from __future__ import annotations

from prefect import flow

from ritz.compute.evaluation.catalogue import metrics
from ritz.storage import models
from ritz.storage.reading import resolve
from ritz.storage.store import Store
from ritz.tasks.checks import check_measuring
from ritz.tasks.documents import of_model
from ritz.tasks.documents.card import ModelVersion
from ritz.tasks.documents.cost import Priced
from ritz.tasks.documents.evaluation import Evaluation
from ritz.tasks.measuring import evaluate as stage
from ritz.tasks.measuring.cost import cost
from ritz.tasks.recipes import load_profile
from ritz.tasks.signals import stoppable


class EvaluatedModel(Priced, Evaluation):
    """A model, and what was measured of it."""

    model: ModelVersion


@flow(name="evaluate")
@stoppable
def evaluate(model: str, dataset: str, store: str, profile: str = "local") -> EvaluatedModel:
    """Measure a model, the baselines and their costs on the test split of a dataset; both as ``NAME[@VERSION]``.

    Raises
    ------
    ritz.storage.errors.StorageError
        If there is no such model or dataset.
    """
    check_measuring(store, model, dataset, ("train", "test"))
    reference = models.resolve(Store(store), model)
    version = resolve(Store(store), dataset)
    chosen = metrics(of_model.card(Store(store), reference.spec).recipe.get("evaluation"))
    with load_profile(profile).open(("train",)) as cluster:
        result: Evaluation = stage.evaluate(store, cluster, reference.spec, version.spec, chosen)
        priced: Priced = cost(store, cluster, reference.spec, version.spec)
    named = ModelVersion(name=reference.name, version=reference.version)
    return EvaluatedModel(model=named, **result.entries(), **priced.entries())
