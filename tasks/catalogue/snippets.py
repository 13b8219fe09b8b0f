"""Lines of Python to copy: how a dataset is opened, with Ritz and without."""

from __future__ import annotations

from ritz.storage.names import dataset_key
from ritz.storage.store import Store
from ritz.tasks.report.sections.data import without_ritz


def open_dataset(store: Store, name: str, version: str) -> str:
    """Return lines that open a version of a dataset with Ritz."""
    return f"import ritz\n\ndata = ritz.open_dataset({f'{name}@{version}'!r}, store={store.url!r})\n"


def open_plainly(store: Store, name: str, version: str) -> str:
    """Return lines that open it with icechunk and xarray alone."""
    return without_ritz(store.location(dataset_key(name)), version)


def load_model(store: Store, model: str, dataset: str) -> str:
    """Return lines that load a model and predict two samples of a dataset, both given as ``NAME@VERSION``."""
    return (
        f"import ritz\n\nmodel = ritz.load_model({model!r}, store={store.url!r})\n"
        f"data = ritz.open_dataset({dataset!r}, store={store.url!r})\n"
        "predicted = model.predict(data.isel(sample=slice(2)))\n"
    )
