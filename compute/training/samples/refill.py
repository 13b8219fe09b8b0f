from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ritz.compute.surrogates.normalisation import Arrays
from ritz.compute.training.samples.block import Block

Refill = Callable[[np.ndarray], Block]
"""Returns the samples with the given ids ``(n,)``, in any order."""


def refilled(refill: Refill, ids: np.ndarray, whose: str) -> Arrays:
    """Return the fields of ``ids`` in their order, ``(n, *dims)`` for every variable; nothing for none.

    Parameters
    ----------
    whose
        What of the checkpoint names them, for the error.

    Raises
    ------
    ValueError
        If ``refill`` does not return all of them.
    """
    if len(ids) == 0:
        return {}
    block = refill(np.unique(ids))
    place = {int(sample): row for row, sample in enumerate(block.ids)}
    missing = [int(sample) for sample in ids if int(sample) not in place]
    if missing:
        raise ValueError(
            f"samples {missing[:5]} of the checkpoint's {whose} are not in the dataset any more ({len(missing)} in "
            "all); remove the checkpoint to train anew"
        )
    rows = np.array([place[int(sample)] for sample in ids], np.int64)
    return {name: values[rows] for name, values in block.fields.items()}
