"""What a worker keeps at hand while it looks at one block of samples after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from ritz.compute.evaluation.measured import Measured
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.rollout.baselines import baselines
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.uncertainty.catalogue import calibrated
from ritz.compute.uncertainty.predicted import About
from ritz.compute.uncertainty.uncertainty import Calibrated
from ritz.storage import models
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.measuring.split_fields import Blocks, few_of_split, taken
from ritz.tasks.parsing.recorded_problem import problem_of, recipe_of

BASELINE_SAMPLES = 2000
"""The baselines are fitted to at most so many training samples."""

CLIMATOLOGY = 32
"""Training samples, at most, that stand for the distribution of the output whatever the input."""


def load_model(
    store: Store, model: str, surrogate: Surrogate | None = None, problem: Problem | None = None
) -> tuple[Model, Calibrated | None]:
    """Read a model and its error bars, None before it was quantified and where it has none.

    Parameters
    ----------
    surrogate, problem
        What learnt the model, and what its dataset solves, where their classes are not registered.
    """
    files, _ = models.load(store, model)
    bands = calibrated(files["bands.json"]) if "bands.json" in files else None
    trained = Model.from_bytes(files["model.safetensors"], surrogate)
    return trained, bands.beside(trained, problem) if bands and bands.levels else None


@dataclass(frozen=True)
class Case:
    """A model that is measured, and on what.

    Attributes
    ----------
    store
        URL.
    model, dataset
        ``NAME@VERSION``.
    identity
        What fixed the model.
    snapshot
        Of the dataset.
    problem, surrogate
        What made the dataset and the surrogate, where their classes are not registered; else what the recipes say.
    """

    store: str
    model: str
    dataset: str
    identity: str
    snapshot: str
    problem: Problem | None = field(default=None, compare=False)
    surrogate: Surrogate | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Opened:
    """A case, loaded."""

    model: Model
    data: xr.Dataset
    problem: Problem | None

    def fields(self, rows: np.ndarray) -> tuple[Arrays, Arrays]:
        """Read inputs and outputs of the samples in some rows."""
        return taken(self.data, rows)

    def about(self) -> About:
        """Return what is known of its samples."""
        transforms = {variable.name: variable.transform for variable in self.model.variables}
        dimensions = self.model.normalisation.dimensions
        return About(transforms, dimensions, self.problem, self.model, Blocks(self.data, "train"))


@dataclass(frozen=True, repr=False)
class Block:
    """Samples of a split that a worker looks at together.

    Attributes
    ----------
    rows
        ``(n,)`` places among the samples of the dataset that are good.
    """

    case: Case
    number: int
    rows: np.ndarray

    def __repr__(self) -> str:
        return f"block {self.number} of {self.case.dataset}"


@dataclass(frozen=True)
class Looked:
    """What was seen of a block; the receipt is all of it."""

    receipt: Measured


@dataclass(frozen=True, repr=False)
class Asked:
    """A block with the function that looks at it: the item of a stream.

    Attributes
    ----------
    known
        Arguments of the function after the block.
    """

    block: Block
    function: Callable[..., Looked]
    known: tuple[Any, ...]

    def __repr__(self) -> str:
        return repr(self.block)


def looked(asked: Asked) -> Looked:
    """Look at a block, in a worker."""
    return asked.function(asked.block, *asked.known)


_kept: dict[Case, Opened] = {}
_references: dict[Case, References] = {}


def opened(case: Case) -> Opened:
    """Load a case, once in a process while it is the one that is asked for."""
    if case not in _kept:
        _kept.clear()
        store = Store(case.store)
        trained, _ = load_model(store, case.model, case.surrogate)
        problem = case.problem or problem_of(recipe_of(store, case.dataset))
        _kept[case] = Opened(trained, read(store, case.dataset), problem)
    return _kept[case]


@dataclass(frozen=True)
class References:
    """What a model is measured beside.

    Attributes
    ----------
    baselines
        Fitted to training samples, with the normalisation of the model.
    climatology
        ``(k, *dims)`` by output, training samples that stand for its distribution whatever the input.
    """

    baselines: dict[str, Model]
    climatology: Arrays


def references(case: Case) -> References:
    """Fit the baselines and choose the climatology, once in a process while the case is the one that is asked for."""
    if case not in _references:
        _references.clear()
        at_hand = opened(case)
        inputs, outputs = at_hand.fields(few_of_split(at_hand.data, "train", BASELINE_SAMPLES))
        fields, normalisation = {**inputs, **outputs}, at_hand.model.normalisation
        _references[case] = References(
            {
                name: Model.fitted(baseline, normalisation, [fields])
                for name, baseline in baselines(normalisation).items()
            },
            {name: values[_apart(len(values), CLIMATOLOGY)] for name, values in outputs.items()},
        )
    return _references[case]


def _apart(count: int, most: int) -> np.ndarray:
    """Return positions of some of so many samples, far apart: neighbours in a dataset are alike."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)
