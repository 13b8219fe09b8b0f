"""What a version of a dataset holds, array by array, as it lies in the store."""

from __future__ import annotations

from dataclasses import dataclass

from ritz.storage.datasets import Dataset


@dataclass(frozen=True)
class StoredVariable:
    """An array of a dataset.

    Attributes
    ----------
    role
        ``"input"`` or ``"output"``; ``""`` of a coordinate and of what is known of each sample.
    dims, shape
        Names and sizes of its dimensions.
    chunk, shard
        Shape of what is read at least, and of one file; the latter is None where each chunk is a file.
    units, long_name
        Empty where they are not known.
    """

    name: str
    role: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    chunk: tuple[int, ...]
    shard: tuple[int, ...] | None
    units: str
    long_name: str


def stored_variables(dataset: Dataset) -> list[StoredVariable]:
    """Return the arrays of a dataset: inputs, outputs, then all others, each by their names."""
    found = []
    for name, array in dataset.group().arrays():
        attrs = dict(array.attrs)
        dims = getattr(array.metadata, "dimension_names", None) or ()
        found.append(
            StoredVariable(
                name=name,
                role=str(attrs.get("role", "")),
                dims=tuple(str(dim) for dim in dims),
                shape=tuple(array.shape),
                dtype=str(array.dtype),
                chunk=tuple(array.chunks),
                shard=None if array.shards is None else tuple(array.shards),
                units=str(attrs.get("units", "")),
                long_name=str(attrs.get("long_name", "")),
            )
        )
    order = {"input": 0, "output": 1}
    return sorted(found, key=lambda one: (order.get(one.role, 2), one.name))
