from __future__ import annotations

import numpy as np
import xarray as xr

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.uncertainty.novelty import Novelty

FILE = "novelty.json"
"""Of a model: what judges whether an input is anything like those that it was trained on."""

SAMPLES = 1024
"""Most training inputs that are looked at; of more, so many evenly from all."""

NUMBERS = 2**26
"""And so many that they are at most this many numbers: half a gigabyte in float64."""


def of_inputs(data: xr.Dataset) -> Novelty:
    """Look at the training inputs of a version of a dataset.

    Raises
    ------
    ValueError
        If it has none.
    """
    dimensions = Dimensions.of(data)
    numbers = sum(data[name][0].size for name in dimensions.inputs)
    positions = np.flatnonzero(data["split"].values == "train")
    if not len(positions):
        raise ValueError("the split 'train' of this dataset is empty; expected at least one sample")
    count = min(len(positions), SAMPLES, max(1, NUMBERS // numbers))
    chosen = positions[np.linspace(0, len(positions) - 1, count).round().astype(int)]
    inputs = {name: data[name].isel(sample=chosen).values for name in dimensions.inputs}
    logs = tuple(name for name in dimensions.inputs if data[name].attrs.get("transform") == "log")
    return Novelty.fit(inputs, logs, dimensions)
