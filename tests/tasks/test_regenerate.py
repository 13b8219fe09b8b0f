from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.elliptic import Elliptic
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.poisson import Poisson
from ritz.compute.problems.problem import Problem
from ritz.storage.errors import Unknown
from ritz.storage.store import Store
from ritz.tasks.auditing.regenerate_worker import regenerate, same_bits
from ritz.tasks.auditing.version import sample_of
from tests.tasks.made import FAILED, NAME, change, flip, make, object_of, position

PROBLEMS: dict[str, Problem] = {
    "darcy": Darcy(shape=(8, 8)),
    "poisson": Poisson(shape=(8, 8)),
    "elliptic": Elliptic(shape=(8, 8)),
    "helmholtz": Helmholtz(shape=(8, 8), wavenumber=6.0),
    "heat": Heat(shape=(8, 8), steps=3),
    "burgers": Burgers(points=32, steps=3, end=0.1),
    "plate": Plate(cells=8),
}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make(tmp_path_factory.mktemp("pristine") / "store", solver="recycled")


@pytest.fixture
def store(pristine: Store, tmp_path: Path) -> Store:
    return Store(shutil.copytree(pristine.url, tmp_path / "store"))


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("solver", ["direct", "recycled"])
def test_a_sample_made_again_by_another_solver_agrees(name: str, solver: str, tmp_path: Path) -> None:
    store = make(tmp_path / "store", PROBLEMS[name], solver)
    found = regenerate(sample_of(store.url, NAME, 11)).receipt
    assert found.agrees
    assert (found.sample, found.shard) == (11, position(store, 11) // 8)
    assert all(one.document() == {"equal": True, "difference": 0.0} for one in found.inputs.values())
    for one in found.outputs.values():
        difference, bound = one.entries()["difference"], one.entries()["bound"]
        assert 0 < difference <= bound < 1e-5
    assert found.solver.document() == {"stored": solver, "again": "recycled" if solver == "direct" else "direct"}


def test_a_changed_output_does_not_agree(store: Store) -> None:
    change(store, "u", (position(store, 11), 4, 4), lambda value: value * np.float32(1.001))
    found = regenerate(sample_of(store.url, NAME, 11)).receipt
    assert not found.agrees
    assert found.inputs["a"].equal
    assert not found.outputs["u"].within
    assert found.outputs["u"].entries()["bound"] < found.outputs["u"].entries()["difference"] < 1e-3
    assert regenerate(sample_of(store.url, f"{NAME}@v1", 11)).receipt.agrees


def test_a_changed_input_does_not_agree(store: Store) -> None:
    change(store, "a", (position(store, 11), 4, 4), lambda value: value + np.float32(0.5))
    found = regenerate(sample_of(store.url, NAME, 11)).receipt
    assert not found.agrees
    assert not found.inputs["a"].equal
    assert found.inputs["a"].difference == pytest.approx(0.5, rel=1e-5)
    assert found.outputs["u"].within


def test_an_unreadable_output_does_not_agree(store: Store) -> None:
    shard = position(store, 11) // 8
    file = object_of(store, "u", shard, 0, 0)
    flip(store, file, len(store.read(file)) - 30)
    found = regenerate(sample_of(store.url, NAME, 11)).receipt
    assert not found.agrees
    assert found.outputs == {}
    assert "checksum" in found.unreadable["u"]


def test_a_failed_sample_is_made_again_without_comparison(store: Store) -> None:
    found = regenerate(sample_of(store.url, NAME, FAILED)).receipt
    assert found.status.document() == {"stored": "failed", "again": "ok"}
    assert found.outputs == {}
    assert found.agrees


def test_an_unknown_sample_is_refused_with_those_there_are(store: Store) -> None:
    with pytest.raises(Unknown, match="sample 40 is not in dataset made@v1: it has 40 samples, from 0 to 39"):
        sample_of(store.url, NAME, 40)


def test_bits_are_compared() -> None:
    one = np.array([[0.0, 1], [np.nan, 2], [0, 3]], np.float32)
    other = np.array([[-0.0, 1], [np.nan, 2], [0, np.nextafter(np.float32(3), np.float32(4))]], np.float32)
    assert same_bits(one, other).tolist() == [False, True, False]
    assert not same_bits(one, other.astype(np.float64)).any()
