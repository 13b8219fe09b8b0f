from __future__ import annotations

from prefect import flow

from ritz.compute.uncertainty.catalogue import uncertainty
from ritz.storage import models
from ritz.storage.reading import resolve
from ritz.storage.store import Store
from ritz.tasks.checks import check_measuring
from ritz.tasks.documents import of_model
from ritz.tasks.documents.calibration import Calibration
from ritz.tasks.documents.card import ModelVersion
from ritz.tasks.measuring import evaluate as stage
from ritz.tasks.recipes import load_profile
from ritz.tasks.signals import stoppable


class QuantifiedModel(Calibration):
    """A model, and what its error bars were worth."""

    model: ModelVersion


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
    check_measuring(store, model, dataset, ("validate", "calibrate", "test"))
    reference = models.resolve(Store(store), model)
    version = resolve(Store(store), dataset)
    method = uncertainty(of_model.card(Store(store), reference.spec).recipe["uncertainty"])
    with load_profile(profile).open(("train",)) as cluster:
        result: Calibration = stage.quantify(store, cluster, reference.spec, version.spec, method)
    return QuantifiedModel(model=ModelVersion(name=reference.name, version=reference.version), **result.entries())
