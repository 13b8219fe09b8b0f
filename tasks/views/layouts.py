"""How the dataset of a recipe will lie in the store."""

from __future__ import annotations

import numpy as np

from ritz.storage.description import describe
from ritz.storage.layout import layout
from ritz.tasks.generation.described import described
from ritz.tasks.pipeline import Pipeline


def text(pipeline: Pipeline) -> str:
    """Return the layout of a recipe's dataset as text, the same for the same layout.

    The texts of the shipped recipes are kept in ``deployments/layouts``, so that a change of structure shows in a
    diff.
    """
    # The number of samples is no matter of structure, and two shards say all.
    return describe(layout(**described(pipeline, np.arange(2 * pipeline.data.shard))))
