"""What a store holds, opened by its name: `ritz.open_dataset` and `ritz.load_model`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ritz.flows.settings import DEFAULT_STORE
from ritz.storage.store import Store

if TYPE_CHECKING:
    import xarray as xr

    from ritz.compute.surrogates.surrogate import Surrogate
    from ritz.tasks.prediction.trained_model import TrainedModel


def open_dataset(dataset: str, store: str = DEFAULT_STORE, statuses: tuple[str, ...] = ("ok",)) -> xr.Dataset:
    """Open a version of a dataset; what is committed later does not change it.

    Parameters
    ----------
    dataset
        ``"name"`` or ``"name@latest"``, ``"name@v3"``, ``"name@SNAPSHOT"``, ``"name@head"`` (unpublished).
    store
        Folder or URL.
    statuses
        Which samples, of ``"absent"``, ``"ok"``, ``"failed"``.

    Returns
    -------
    xarray.Dataset
        A variable ``(sample, *dims)`` for every field, read when it is asked for; beside it, along ``sample``, its id,
        ``split`` (a string), status, true relative residual, iterations, seconds and solver.

    Raises
    ------
    ritz.storage.errors.Unknown
        There is no such dataset or version; the message lists those there are.

    Examples
    --------
    >>> import ritz
    >>> data = ritz.open_dataset("small@v1", store="ritz-store")
    >>> test = data.isel(sample=data["split"] == "test")
    >>> dict(test.sizes)
    {'sample': 6, 'y': 8, 'x': 8}
    >>> ritz.open_dataset("large", store="ritz-store")
    Traceback (most recent call last):
    ritz.storage.errors.Unknown: dataset 'large': not in ...; there are: made, small
    """
    from ritz.storage.reading import read

    return read(Store(store), dataset, statuses)


def load_model(
    model: str, store: str = DEFAULT_STORE, surrogate: Surrogate | None = None, bands: str | None = None
) -> TrainedModel:
    """Load a model: an object with ``predict(inputs)``, ``interval(inputs, prediction, level)`` and ``card``.

    Parameters
    ----------
    model
        ``"name"`` for the newest version, or ``"name@v1"``.
    store
        Folder or URL.
    surrogate
        What learnt the model, where its class is neither shipped nor in the entry-point group ``ritz.surrogates``.
    bands
        Name of another law, whose bands are taken: one that ``ritz quantify --law`` calibrated bands for.

    Raises
    ------
    ritz.storage.errors.Unknown
        There is no such model or version; the message lists those there are.

    Examples
    --------
    >>> import ritz
    >>> model = ritz.load_model("small@v1", store="ritz-store")
    >>> test = ritz.open_dataset("small@v1", store="ritz-store").isel(sample=slice(2))
    >>> predicted = model.predict(test)
    >>> predicted["u"].shape, str(predicted["u"].dtype)
    ((2, 8, 8), 'float32')
    >>> lower, upper = model.interval(test, predicted, level=0.5)
    >>> bool((lower["u"] <= upper["u"]).all())
    True
    >>> ritz.load_model("large", store="ritz-store")
    Traceback (most recent call last):
    ritz.storage.errors.Unknown: model 'large': not in ...; there are: small
    """
    from ritz.tasks.prediction.trained_model import load

    return load(Store(store), model, surrogate, bands)
