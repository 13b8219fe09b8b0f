"""Solvers with what a recipe names of the store for them."""

from __future__ import annotations

from ritz.compute.solvers.solver import Solver
from ritz.storage import artefacts
from ritz.storage.errors import Refused, StorageError
from ritz.storage.store import Store


def equipped(solver: Solver, store: Store) -> Solver:
    """Return a solver with its artefacts of the store, ready for workers; itself where it needs none.

    Raises
    ------
    ritz.storage.errors.Unknown
        If an artefact is not in the store.
    ritz.storage.errors.Refused
        If an artefact is not what the solver needs.
    """
    try:
        return solver.equipped(lambda name, digest: artefacts.load(store, name, digest))
    except StorageError:
        raise
    except ValueError as error:
        raise Refused(f"solver is {solver.kind!r}: {error}") from error
