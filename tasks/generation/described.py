"""What the store is told of the dataset of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version as package_version
from typing import Any, TypedDict

import numpy as np
import xarray as xr

from ritz.compute.problems.catalogue import SHIPPED
from ritz.compute.problems.evolutions.marching import Marching
from ritz.compute.simulation.simulate import ITSELF
from ritz.compute.solvers.catalogue import answering
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
        "attrs": {"rtol": data.rtol, "ritz_version": package_version("ritz"), **_said(pipeline)},
    }


def _said(pipeline: Pipeline) -> dict[str, str]:
    """Return what is said of the data, by the names that CF and ACDD have for it."""
    about = pipeline.about
    named = {"summary": about.description, "license": about.licence, "references": about.citation}
    return {name: text for name, text in {**named, "contact": about.contact, "source": about.url}.items() if text}


def _answering(pipeline: Pipeline) -> tuple[str, ...]:
    """Return what may be named in the ledger: the solvers, and a problem of somebody's own, which may do without.

    One in explicit steps does without.
    """
    if isinstance(pipeline.problem, Marching):
        return (ITSELF,)
    own = type(pipeline.problem) not in SHIPPED
    return (*answering(pipeline.solver), *([ITSELF] if own else []))
