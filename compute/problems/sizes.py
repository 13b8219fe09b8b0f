"""Euclidean norms of what equations leave over, of NumPy arrays and torch tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ritz.compute.fields.arrays import Array, namespace, select
from ritz.compute.solvers.scaling import norms


def size(x: Array, axes: int = 1) -> Array:
    """Return the Euclidean norms over all but the first axes: ``(n,)`` of ``(n, *shape)``, whatever its scale."""
    rows = x.reshape(*x.shape[:axes], -1)
    if isinstance(rows, np.ndarray):
        return norms(rows.reshape(-1, rows.shape[-1])).reshape(x.shape[:axes])
    return rows.norm(dim=-1)


def joint_size(fields: Mapping[str, Array], rows: Mapping[str, np.ndarray] | None = None, axes: int = 1) -> Array:
    """Return the Euclidean norms over all but the first axes of several fields together.

    Parameters
    ----------
    fields
        By name.
    rows
        By name which values count, bool, broadcast against the last axes; all by default.
    axes
        How many axes stay.
    """
    counted = fields if rows is None else {name: select(rows[name], values, 0.0) for name, values in fields.items()}
    sizes = [size(values, axes) for values in counted.values()]
    return sizes[0] if len(sizes) == 1 else size(namespace(sizes[0]).stack(sizes, axes), axes)
