"""What rounding to float32 adds to the residual, measured where samples are solved, against the stored fields."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ritz.compute.problems.problem import Problem
from ritz.compute.simulation.simulate import ITSELF
from ritz.compute.solvers.catalogue import answering
from ritz.compute.solvers.factorization.direct import Direct
from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.generation.worker import Shard, solve
from ritz.tasks.recipes import load, names
from tests.tasks.made import small

SHARD, SEED = 4, 3


def _filled(store: Store, problem: Problem, shards: range, rtol: float = 1e-8) -> Committer:
    """Solve shards as workers do and publish them."""
    n = SHARD * 2
    split = np.array(["train"] * n)
    dataset = Committer.ensure(
        store, "made", problem.template(n), identity="one", recipe={}, sample_id=np.arange(n), split=split,
        shard=SHARD, solvers=(*answering(Direct()), ITSELF), attrs={"rtol": rtol},
    )  # fmt: skip
    with dataset.lock():
        fork = dataset.fork()
        for index in shards:
            ids = np.arange(index * SHARD, (index + 1) * SHARD)
            shard = Shard(
                store.url,
                "made",
                index,
                ids,
                np.array(["train"] * SHARD),
                problem,
                SEED,
                rtol,
                "float32",
                Direct(),
                fork,
            )
            receipt = solve(shard).receipt
            assert receipt.fork is not None
            dataset.commit({index: (receipt.fork, receipt.ledger)})
        dataset.publish("all")
    return dataset


@pytest.mark.parametrize("recipe", names())
def test_the_bound_beside_a_field_holds_for_what_is_stored_and_is_near_it(recipe: str, tmp_path: Path) -> None:
    problem, store = small(load(recipe).problem), Store(tmp_path / "store")
    _filled(store, problem, range(2))
    data = read(store, "made@v1")
    roles = {
        role: {str(name): one.values for name, one in data.data_vars.items() if one.attrs.get("role") == role}
        for role in ("input", "output")
    }
    (bound,) = {data[name].attrs["rounding_bound"] for name in roles["output"]}
    true = problem.residual(roles["input"], roles["output"])
    assert (true <= problem.attained(1e-8) + bound * (1 + 1e-6)).all()
    # More than what the ledger says, which was before storing, and no more than twenty times what is true.
    assert data["residual"].max() <= 1e-8 < true.max()
    assert bound <= 20 * true.max()
    assert all("rounding_bound" not in data[name].attrs for name in roles["input"])


def test_the_bound_is_that_of_all_shards_whoever_committed_them(tmp_path: Path) -> None:
    problem = small(load("darcy-contrast").problem)
    bounds = []
    for part in (range(1), range(1, 2), range(2)):
        store = Store(tmp_path / f"{part.start}{part.stop}")
        _filled(store, problem, part)
        bounds.append(Dataset.open(store, "made").at("v1").rounding_bound)
    first, second, both = bounds
    assert both == max(first, second)  # type: ignore[type-var]
    assert first != second
    # Another process goes on where one has ended; the versions before stay as they are.
    store = Store(tmp_path / "01")
    _filled(store, problem, range(1, 2))
    dataset = Dataset.open(store, "made")
    assert [dataset.at(version).rounding_bound for version in ("v1", "v2")] == [first, both]


def test_shards_without_a_bound_leave_it_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, store = small(load("darcy").problem), Store(tmp_path / "store")
    _filled(store, problem, range(1))
    with monkeypatch.context() as patch:
        patch.setattr("ritz.tasks.generation.worker.rounding_bound", lambda *_: None)
        _filled(store, problem, range(1, 2))
    dataset = Dataset.open(store, "made")
    assert dataset.at("v1").rounding_bound is not None
    assert dataset.at("v2").rounding_bound is None


def test_a_bound_that_is_no_number_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, store = small(load("darcy").problem), Store(tmp_path / "store")
    monkeypatch.setattr(type(problem), "rounding", lambda *_: np.array([0.0, np.nan, 1.0, 2.0]))
    _filled(store, problem, range(2))
    assert Dataset.open(store, "made").at("v1").rounding_bound is None
