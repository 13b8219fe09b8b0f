from __future__ import annotations

from prefect import flow

from ritz.tasks.documents.card import ModelVersion
from ritz.tasks.documents.law_calibration import LawCalibration
from ritz.tasks.driver.signals import stoppable
from ritz.tasks.measuring import recalibrate as stage
from ritz.tasks.preparing import prepare
from ritz.tasks.requests.recalibration import SOLVES, Recalibrate


class RecalibratedModel(LawCalibration):
    """A model, and what its error bars are worth on another law."""

    model: ModelVersion


@flow(name="recalibrate")
@stoppable
def recalibrate(
    model: str,
    dataset: str,
    law: str | dict[str, object],
    store: str,
    solves: int = SOLVES,
    name: str | None = None,
    profile: str = "local",
) -> RecalibratedModel:
    """Calibrate bands for a model on fresh solves of another law; model and dataset as ``NAME[@VERSION]``.

    The bands are kept beside those of the law of the dataset, which stay as they are.

    Parameters
    ----------
    law
        Fields with other values, or the name of one of ``uncertainty.shifts``; see
        `ritz.tasks.parsing.asked_law.asked_law`.
    solves
        Samples that are solved to calibrate on.
    name
        Of the bands; made of the values of the law where none is given.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        If the law is none for the problem of the dataset, or there are too few solves for the highest level.
    ritz.storage.errors.StorageError
        If there is no such model or dataset.
    """
    prepared = prepare(Recalibrate(model, dataset, law, solves, name), store, profile)
    work, store = prepared.work, prepared.store
    specs = (work.model.spec, work.dataset.spec)
    with prepared.profile.open(Recalibrate.roles) as cluster:
        result: LawCalibration = stage.recalibrate(store, cluster, *specs, work.uncertainty, work.law, solves)
    named = ModelVersion(name=work.model.name, version=work.model.version)
    return RecalibratedModel(model=named, **result.entries())
