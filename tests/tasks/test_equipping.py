from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from ritz.compute.fields.tensors import pack
from ritz.compute.solvers.learned.direction import LearnedDirection
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.storage import artefacts
from ritz.storage.errors import Refused, Unknown
from ritz.storage.store import Store
from ritz.tasks.checks import check_run
from ritz.tasks.equipping import equipped
from ritz.tasks.recipes import load


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def saved(store: Store) -> str:
    import torch

    from ritz.compute.solvers.learned.network import Cycle
    from ritz.compute.solvers.learned.weights import packed

    torch.manual_seed(0)
    return artefacts.save(store, "poisson", packed(Cycle(4), 4))


def test_a_solver_gets_its_weights_by_name_and_digest(store: Store) -> None:
    solver = equipped(LearnedDirection(weights="poisson", digest=saved(store)), store)
    assert isinstance(solver, LearnedDirection)
    # Workers have no store to look into.
    assert pickle.loads(pickle.dumps(solver))._blob == artefacts.load(store, "poisson", solver.digest)
    assert equipped(Multigrid(), store) == Multigrid()


def test_weights_that_are_none_are_refused_by_name(store: Store) -> None:
    own = artefacts.save(store, "poisson", pack({"w": np.zeros(2)}, {"kind": "surrogate"}))
    with pytest.raises(Refused, match="solver is 'learned_direction': the weights are of kind 'surrogate'"):
        equipped(LearnedDirection(weights="poisson", digest=own), store)


def test_a_run_without_its_weights_is_refused_before_any_work(store: Store) -> None:
    changes = {"solver": {"kind": "learned_direction", "weights": "poisson", "digest": 64 * "0"}}
    with pytest.raises(Unknown, match="artefact 'poisson'"):
        check_run(load("poisson", changes), store.url)
    there = {"solver": {"kind": "learned_direction", "weights": "poisson", "digest": saved(store)}}
    check_run(load("poisson", there), store.url)
