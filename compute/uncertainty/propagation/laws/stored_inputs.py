from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.problems.problem import Arrays

if TYPE_CHECKING:
    import xarray as xr


class StoredInputs:
    """The inputs of samples that were solved or imported, of which a law is made.

    A row is a sample; rows are in the order of the ids, whatever the order in which samples were solved.

    Parameters
    ----------
    data
        With the dimension ``sample`` and the coordinate ``sample_id``; read when its rows are asked for.
    """

    def __init__(self, data: xr.Dataset) -> None:
        names = [str(name) for name, one in data.data_vars.items() if one.attrs.get("role") == "input"]
        self._data = data[names]
        self._order = np.argsort(data["sample_id"].values, kind="stable")

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._order)

    @property
    def numbers(self) -> int:
        """How many numbers the inputs of a row are."""
        return sum(int(np.prod(one.shape[1:])) for one in self._data.data_vars.values())

    @property
    def logs(self) -> frozenset[str]:
        """Inputs that are positive and told by their logarithms, as their attribute ``transform`` says."""
        return frozenset(str(name) for name, one in self._data.data_vars.items() if one.attrs.get("transform") == "log")

    @property
    def template(self) -> xr.Dataset:
        """A row with its coordinates and attributes."""
        return self._data.isel(sample=slice(1))

    def in_memory(self) -> StoredInputs:
        """Read all rows now, for those who ask for them many times."""
        self._data = self._data.load()
        return self

    def taken(self, rows: np.ndarray) -> Arrays:
        """Return the inputs ``(n, *dims)`` of rows ``(n,)``, in the stored dtypes; a row may come several times."""
        different, places = np.unique(rows, return_inverse=True)
        # Sorted positions are read shard by shard.
        positions = self._order[different]
        sorting = np.argsort(positions)
        chosen = self._data.isel(sample=positions[sorting])
        at = np.argsort(sorting)[places]
        return {str(name): np.ascontiguousarray(values.values[at]) for name, values in chosen.data_vars.items()}
