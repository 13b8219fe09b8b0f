"""The model whose weights a training begins with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ritz.compute.fields.dimensions import Dimensions
from ritz.storage import models
from ritz.storage.errors import Refused
from ritz.storage.store import Store
from ritz.tasks.documents import of_model

if TYPE_CHECKING:
    import xarray as xr

    from ritz.compute.surrogates.model import Model
    from ritz.compute.surrogates.surrogate import Surrogate
    from ritz.compute.training.training import Training
    from ritz.tasks.pipeline import Pipeline


def check_start(pipeline: Pipeline, store: Store, template: xr.Dataset) -> None:
    """Refuse a model to start from whose weights do not fit the training.

    Parameters
    ----------
    template
        Of the samples.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is no such model.
    ritz.storage.errors.Refused
        If it is of another surrogate, other variables or other channels, or the surrogate is trained several times.
    """
    start = pipeline.training.starts_from
    if start is None:
        return
    if pipeline.surrogate.trainings > 1:
        raise Refused(
            f"training.start is {start!r} with the surrogate {pipeline.surrogate.kind!r}, expected none: its members "
            "have to differ from the first step on"
        )
    card = of_model.card(store, models.resolve(store, start).spec)
    ours, theirs = pipeline.document()["surrogate"], card.recipe["surrogate"]
    if ours != theirs:
        raise Refused(
            f"training.start is {start!r}, a model of the surrogate {theirs}; expected that of the recipe, {ours}"
        )
    own = Dimensions.of(template)
    wanted = {name: own.channels(name) for name in own.variables}
    there = {
        name: math.prod(card.sizes[dim] for dim in one.dims if dim not in card.space)
        for name, one in {**card.inputs, **card.outputs}.items()
    }
    if wanted != there:
        raise Refused(f"training.start is {start!r}, a model of the channels {there}; expected {wanted}")


def started(store: Store, training: Training, surrogate: Surrogate | None = None) -> Model | None:
    """Read the model that a training starts from; None where its weights are drawn.

    Parameters
    ----------
    surrogate
        What is trained, for a class that is not registered: the model is of the same one.

    Raises
    ------
    ritz.storage.errors.StorageError
        If it is gone or damaged.
    """
    from ritz.compute.surrogates.model import Model

    if training.starts_from is None:
        return None
    files, _ = models.load(store, training.starts_from)
    return Model.from_bytes(files["model.safetensors"], surrogate)
