from __future__ import annotations

import numpy as np
import xarray as xr

from ritz.compute.problems.problem import Arrays


def variables(dataset: xr.Dataset, role: str) -> list[str]:
    """Return the names of the variables of a role, ``"input"`` or ``"output"``."""
    return [str(name) for name, variable in dataset.data_vars.items() if variable.attrs.get("role") == role]


def load(dataset: xr.Dataset, split: str, limit: int | None = None) -> tuple[Arrays, Arrays]:
    """Read the inputs and outputs of a split into memory.

    Parameters
    ----------
    limit
        Read at most so many, the first ones.

    Raises
    ------
    ValueError
        If the split is empty.
    """
    positions = np.flatnonzero(dataset["split"].values == split)[:limit]
    if not positions.size:
        raise ValueError(f"split {split!r} of this dataset is empty; expected at least one sample")
    return taken(dataset, positions)


def taken(dataset: xr.Dataset, positions: np.ndarray) -> tuple[Arrays, Arrays]:
    """Read the inputs and outputs of the samples at some positions ``(n,)`` into memory."""
    chosen = dataset.isel(sample=positions)
    inputs, outputs = (
        {name: np.ascontiguousarray(chosen[name].values) for name in variables(dataset, role)}
        for role in ("input", "output")
    )
    return inputs, outputs
