from __future__ import annotations

import numpy as np
import xarray as xr

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.uncertainty.novelty.catalogue import USUAL
from ritz.compute.uncertainty.novelty.novelty import Novelty

FILE = "novelty.json"
"""Of a model: what judges whether an input is anything like those of the version it was trained on."""

SAMPLES = 2048
"""Most inputs that are looked at; of more, so many by chance."""

NUMBERS = 2**26
"""And so many that they are at most this many numbers: half a gigabyte in float64."""


def of_inputs(data: xr.Dataset) -> Novelty:
    """Look at the inputs of a version of a dataset, of all splits: they need no label, and no error is looked at.

    Raises
    ------
    ValueError
        If it has none.
    """
    dimensions = Dimensions.of(data)
    numbers = sum(data[name][0].size for name in dimensions.inputs)
    # By id, so that an order of solving, in which neighbours are alike, has no part in what is chosen.
    positions = np.argsort(data["sample_id"].values)
    if not len(positions):
        raise ValueError("this version of the dataset has no samples; expected at least one")
    count = min(len(positions), SAMPLES, max(1, NUMBERS // numbers))
    chosen = np.sort(np.random.default_rng(0).permutation(len(positions))[:count])
    inputs = {name: data[name].isel(sample=positions[chosen]).values for name in dimensions.inputs}
    logs = tuple(name for name in dimensions.inputs if data[name].attrs.get("transform") == "log")
    return USUAL.fit(inputs, logs, dimensions)
