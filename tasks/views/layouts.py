"""How the dataset of a recipe will lie in the store."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version as package_version
from typing import Any, TypedDict

import numpy as np
import xarray as xr

from ritz.compute.problems.catalogue import SHIPPED
from ritz.compute.simulation.simulate import ITSELF
from ritz.compute.solvers.catalogue import answering
from ritz.storage.description import describe
from ritz.storage.layout import layout
from ritz.tasks.parsing.plain import RecipeDocument
from ritz.tasks.pipeline import Pipeline


class Described(TypedDict):
    """What `ritz.storage.layout.layout` is told of a dataset."""

    template: xr.Dataset
    identity: str
    recipe: RecipeDocument
    sample_id: np.ndarray
    split: np.ndarray
    shard: int
    solvers: tuple[str, ...]
    attrs: Mapping[str, Any]


def described(pipeline: Pipeline, ids: np.ndarray) -> Described:
    """Return what `ritz.storage.layout.layout` is told of a recipe's dataset.

    Parameters
    ----------
    ids
        (n,) ids of its samples, in the order of solving.
    """
    data = pipeline.data
    return {
        "template": pipeline.problem.template(len(ids)),
        "identity": pipeline.dataset_identity,
        "recipe": pipeline.document(),
        "sample_id": ids,
        "split": data.splits.of(ids),
        "shard": data.shard,
        "solvers": _answering(pipeline),
        "attrs": {"rtol": data.rtol, "ritz_version": package_version("ritz")},
    }


def _answering(pipeline: Pipeline) -> tuple[str, ...]:
    """Return what may be named in the ledger: the solvers, and a problem of somebody's own, which may do without."""
    own = type(pipeline.problem) not in SHIPPED
    return (*answering(pipeline.solver), *([ITSELF] if own else []))


def text(pipeline: Pipeline) -> str:
    """Return the layout of a recipe's dataset as text, the same for the same layout.

    The texts of the shipped recipes are kept in ``deployments/layouts``, so that a change of structure shows in a
    diff.
    """
    # The number of samples is no matter of structure, and two shards say all.
    return describe(layout(**described(pipeline, np.arange(2 * pipeline.data.shard))))
