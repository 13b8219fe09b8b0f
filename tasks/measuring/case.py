from __future__ import annotations

import xarray as xr

from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.storage import models
from ritz.storage.reading import read, resolve
from ritz.storage.store import Store
from ritz.tasks.measuring.worker import Case


def case_of(
    store_url: str, model: str, dataset: str, problem: Problem | None = None, surrogate: Surrogate | None = None
) -> tuple[Case, xr.Dataset]:
    """Return what is measured, and the samples of its dataset that are good; their fields are not read.

    Parameters
    ----------
    model, dataset
        ``NAME@VERSION``.
    problem, surrogate
        What made the dataset and the surrogate, where their classes are not registered.
    """
    store = Store(store_url)
    identity = models.resolve(store, model).identity
    snapshot = resolve(store, dataset).snapshot
    case = Case(store_url, model, dataset, identity, snapshot, problem, surrogate)
    return case, read(store, dataset)
