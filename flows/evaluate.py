from __future__ import annotations

from prefect import flow

from ritz.tasks.documents.card import ModelVersion
from ritz.tasks.documents.cost import Priced
from ritz.tasks.documents.evaluation import Evaluation
from ritz.tasks.driver.signals import stoppable
from ritz.tasks.measuring import evaluate as stage
from ritz.tasks.measuring.cost import cost
from ritz.tasks.preparing import prepare
from ritz.tasks.report.publish import publish_page
from ritz.tasks.requests.learning import Evaluate
from ritz.tasks.views.evaluated import rows


class EvaluatedModel(Priced, Evaluation):
    """A model, what was measured of it, and where the page of that lies."""

    model: ModelVersion
    page: str


@flow(name="evaluate")
@stoppable
def evaluate(model: str, dataset: str, store: str, profile: str = "local") -> EvaluatedModel:
    """Measure a model, the baselines and their costs on the test split of a dataset; both as ``NAME[@VERSION]``.

    Raises
    ------
    ritz.storage.errors.StorageError
        If there is no such model or dataset.
    """
    prepared = prepare(Evaluate(model, dataset), store, profile)
    measured, store = prepared.work, prepared.store
    specs = (measured.model.spec, measured.dataset.spec)
    with prepared.profile.open(Evaluate.roles) as cluster:
        result: Evaluation = stage.evaluate(store, cluster, *specs, measured.metrics)
        priced: Priced = cost(store, cluster, *specs)
        page: str = publish_page(store, cluster, "evaluation", *specs, rows(result))
    named = ModelVersion(name=measured.model.name, version=measured.model.version)
    return EvaluatedModel(model=named, page=page, **result.entries(), **priced.entries())
