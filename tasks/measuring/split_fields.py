from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from ritz.compute.problems.problem import Arrays

NUMBERS = 2**26
"""What is learnt before measuring is learnt from outputs of at most so many numbers: half a gigabyte in float64."""


def variables(dataset: xr.Dataset, role: str) -> list[str]:
    """Return the names of the variables of a role, ``"input"`` or ``"output"``."""
    return [str(name) for name, variable in dataset.data_vars.items() if variable.attrs.get("role") == role]


def of_split(dataset: xr.Dataset, split: str, limit: int | None = None) -> np.ndarray:
    """Return the rows ``(n,)`` of the samples of a split, rising.

    Parameters
    ----------
    limit
        At most so many: by chance, since neighbours in the order of solving are alike, and always the same ones.

    Raises
    ------
    ValueError
        If the split is empty.
    """
    rows = np.flatnonzero(dataset["split"].values == split)
    if not rows.size:
        raise ValueError(f"split {split!r} of this dataset is empty; expected at least one sample")
    if limit is None or len(rows) <= limit:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, limit, replace=False))


def few_of_split(dataset: xr.Dataset, split: str, limit: int | None = None) -> np.ndarray:
    """Return rows of a split as `of_split`, so few that their outputs are at most `NUMBERS` numbers."""
    numbers = sum(dataset[name][0].size for name in variables(dataset, "output"))
    most = max(1, NUMBERS // numbers)
    return of_split(dataset, split, most if limit is None else min(limit, most))


def load(dataset: xr.Dataset, split: str, limit: int | None = None) -> tuple[Arrays, Arrays]:
    """Read the inputs and outputs of a split into memory; see `of_split`."""
    return taken(dataset, of_split(dataset, split, limit))


class Blocks:
    """The samples of a split, some at a time; read anew whenever they are gone through.

    Parameters
    ----------
    dataset
        Of which the split is.
    split
        Its name.
    size
        Samples that are read together.
    """

    def __init__(self, dataset: xr.Dataset, split: str, size: int = 64) -> None:
        self._dataset, self._size = dataset, size
        self._rows = np.flatnonzero(dataset["split"].values == split)

    def __iter__(self) -> Iterator[Arrays]:
        """Yield ``(n, *dims)`` for every variable."""
        for start in range(0, len(self._rows), self._size):
            inputs, outputs = taken(self._dataset, self._rows[start : start + self._size])
            yield inputs | outputs


def taken(dataset: xr.Dataset, rows: np.ndarray) -> tuple[Arrays, Arrays]:
    """Read the inputs and outputs of the samples in some rows ``(n,)`` into memory."""
    chosen = dataset.isel(sample=rows)
    inputs, outputs = (
        {name: np.ascontiguousarray(chosen[name].values) for name in variables(dataset, role)}
        for role in ("input", "output")
    )
    return inputs, outputs
