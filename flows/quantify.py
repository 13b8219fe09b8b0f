from __future__ import annotations

from prefect import flow

from ritz.tasks.documents.calibration import Calibration
from ritz.tasks.documents.card import ModelVersion
from ritz.tasks.driver.signals import stoppable
from ritz.tasks.measuring import quantify as stage
from ritz.tasks.preparing import prepare
from ritz.tasks.report.publish import publish_page
from ritz.tasks.requests.learning import Quantify
from ritz.tasks.views.calibrated import rows


class QuantifiedModel(Calibration):
    """A model, what its error bars were worth, and where the page of that lies."""

    model: ModelVersion
    page: str


@flow(name="quantify")
@stoppable
def quantify(model: str, dataset: str, store: str, profile: str = "local") -> QuantifiedModel:
    """Calibrate bands for a model on a dataset and measure their coverage; both as ``NAME[@VERSION]``.

    The method is the one of the recipe that made the model. The bands replace those the model had.

    Raises
    ------
    ritz.storage.errors.StorageError
        If there is no such model or dataset, or it has too few samples to calibrate on.
    """
    prepared = prepare(Quantify(model, dataset), store, profile)
    measured, store = prepared.work, prepared.store
    specs = (measured.model.spec, measured.dataset.spec)
    with prepared.profile.open(Quantify.roles) as cluster:
        result: Calibration = stage.quantify(store, cluster, *specs, measured.uncertainty)
        page: str = publish_page(store, cluster, "calibration", *specs, rows(result))
    named = ModelVersion(name=measured.model.name, version=measured.model.version)
    return QuantifiedModel(model=named, page=page, **result.entries())
