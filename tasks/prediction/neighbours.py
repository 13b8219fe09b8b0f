"""Starts at the solved samples of a dataset that are most alike to the inputs of a prediction."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ritz.storage.errors import StorageError
from ritz.storage.reading import read

if TYPE_CHECKING:
    import xarray as xr

    from ritz.compute.problems.problem import Arrays, Problem
    from ritz.compute.simulation.starts.start import Start, Starts
    from ritz.storage.store import Store

MOST = 1024
"""Most samples of a dataset among which neighbours are looked for, spread over its order of solving."""


def neighbours(store: Store, dataset: str, problem: Problem, inputs: Mapping[str, np.ndarray]) -> Starts | str:
    """Return starts at the most alike of the good samples of a dataset, or why there are none, in a few words.

    Parameters
    ----------
    dataset
        ``NAME@VERSION``, of the problem.
    inputs
        ``(n, *dims)`` for every input.
    """
    from ritz.compute.problems.evolution import Evolution
    from ritz.compute.simulation.starts.neighbours import nearest
    from ritz.compute.simulation.starts.start import Start, Starts

    began = time.process_time()
    try:
        data = read(store, dataset)
    except StorageError as error:
        return f"dataset {dataset} cannot be read: {error}"
    count = data.sizes["sample"]
    if not count:
        return f"dataset {dataset} has no sample that is ok"
    rows = np.unique(np.linspace(0, count - 1, min(count, MOST)).astype(int))
    some = data.isel(sample=rows)
    pool = _values(some, inputs)
    near = nearest(problem, inputs, pool)
    outputs = [str(name) for name, field in data.data_vars.items() if field.attrs.get("role") == "output"]

    def of(asked: np.ndarray) -> Start:
        places, inverse = np.unique(near[asked], return_inverse=True)
        found = {name: values[inverse] for name, values in _values(some.isel(sample=places), outputs).items()}
        if not isinstance(problem, Evolution):
            return Start(found)
        return Start(found, problem.start({name: values[near[asked]] for name, values in pool.items()}).fields)

    return Starts("neighbours", of, time.process_time() - began)


def _values(data: xr.Dataset, names: Mapping[str, np.ndarray] | list[str]) -> Arrays:
    return {name: data[name].transpose("sample", ...).values for name in names}
