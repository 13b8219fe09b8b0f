"""What the solver of a dataset has learnt, over all shards and runs."""

from __future__ import annotations

import json

import numpy as np
from pydantic import Field

from ritz.compute.document import Document, Json
from ritz.compute.problems.problem import Arrays
from ritz.compute.solvers.solver import Solver
from ritz.compute.solvers.tuning.learner import Learner
from ritz.compute.solvers.tuning.record import Tuning
from ritz.storage.store import Store
from ritz.tasks.documents.reading import read
from ritz.tasks.generation.worker import Receipt
from ritz.tasks.pipeline import Pipeline


class Learnt(Document):
    """The sums of a solver over shards of a dataset.

    Attributes
    ----------
    solver
        Its fields.
    shards
        Numbers of the shards that are in the sums, ascending.
    total
        The sums by their names; empty before the first shard.
    """

    solver: Json
    shards: tuple[int, ...] = ()
    total: Json = Field({})


class Learning:
    """The driver's sums of what shards have learnt: each shard is in them once, however often it is solved.

    They are kept in the store before the shards of a receipt are committed. A driver that is killed in between solves
    those again, and their second receipts add nothing. Sums of another solver are not gone on from.

    Parameters
    ----------
    store, key
        Where they are kept.
    solver
        What learns; of one that does not learn there are no sums, and nothing is kept.
    """

    def __init__(self, store: Store, key: str, solver: Solver) -> None:
        self._store, self._key, self._solver = store, key, solver
        self._shards: set[int] = set()
        self._total: Arrays = {}
        self._kept = 0
        found = kept(store, key, solver)
        if found is not None:
            self._shards, self._total = set(found.shards), _arrays(found.total)
            self._kept = len(self._shards)

    @property
    def learns(self) -> bool:
        """Whether the solver learns."""
        return isinstance(self._solver, Learner)

    def informed(self, index: int) -> Solver:
        """Return the solver of a shard, which begins with the sums so far."""
        return self._solver.informed(self._total, index) if isinstance(self._solver, Learner) else self._solver

    def add(self, receipt: Receipt) -> None:
        """Add what a shard has learnt, unless it is in the sums."""
        if receipt.learnt is None or receipt.index in self._shards:
            return
        learnt = receipt.learnt
        self._total = {name: self._total.get(name, 0.0) + values for name, values in learnt.items()}
        self._shards.add(receipt.index)

    def keep(self) -> None:
        """Write the sums to the store, if there are new ones."""
        if len(self._shards) == self._kept:
            return
        document = Learnt(
            solver=self._solver.model_dump(mode="json"),
            shards=tuple(sorted(self._shards)),
            total={name: values.tolist() for name, values in self._total.items()},
        )
        self._store.write(self._key, json.dumps(document.document()).encode())
        self._kept = len(self._shards)


def kept(store: Store, key: str, solver: Solver) -> Learnt | None:
    """Return the sums of a solver that a store keeps, None if it has none of it."""
    if not isinstance(solver, Learner) or not store.exists(key):
        return None
    found = read(Learnt, store.document(key), key)
    return found if found.solver == solver.model_dump(mode="json") else None


def tuning(store: Store, key: str, solver: Solver) -> Tuning | None:
    """Return what is recorded of the sums of a solver; None where it has learnt nothing."""
    found = kept(store, key, solver)
    return solver.tuning(_arrays(found.total)) if found is not None and isinstance(solver, Learner) else None


def learnt_key(pipeline: Pipeline) -> str:
    """Return where the sums for the dataset of a recipe lie."""
    return f"learnt/{pipeline.dataset_identity}.json"


def _arrays(total: Json) -> Arrays:
    return {name: np.asarray(values, np.float64) for name, values in total.items()}
