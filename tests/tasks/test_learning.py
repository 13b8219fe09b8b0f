"""What shards learn adds up at the driver once, whatever happens to driver and workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.compute.problems.convection import Convection
from ritz.compute.problems.darcy import Darcy
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.preconditioners.ssor import SSOR
from ritz.compute.solvers.tuning.policy import UpperBound
from ritz.compute.solvers.tuning.tuned import Tuned
from ritz.storage.committer import Committer
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.auditing.regenerate_worker import regenerate
from ritz.tasks.auditing.version import sample_of
from ritz.tasks.errors import RecipeError
from ritz.tasks.generation.generate import generate
from ritz.tasks.generation.learning import Learning, learnt_key, tuning
from ritz.tasks.generation.result import Generated, complete
from ritz.tasks.generation.worker import Receipt
from ritz.tasks.pipeline import Data, Pipeline
from ritz.tasks.views import generated as view

SOLVER = Tuned(arms=tuple(Krylov(method="cg", preconditioner=SSOR(omega=omega)) for omega in (1.0, 1.4, 1.8)))
KEY = "learnt/of-this.json"


def receipt(index: int, systems: int = 4, scale: float = 1.0) -> Receipt:
    """A receipt of a shard, all of whose systems one arm has answered."""
    sums = SOLVER.summary(None)
    sums["count"][index % 3] += systems
    sums["xx"][index % 3] += systems
    sums["xw"][index % 3, 0] += scale * systems
    return Receipt(index, None, {}, 0.0, sums)


def test_a_second_receipt_of_a_shard_adds_nothing(tmp_path: Path) -> None:
    learning = Learning(Store(tmp_path), KEY, SOLVER)
    for one in (receipt(3), receipt(1), receipt(3, scale=9.0), receipt(1), receipt(0)):
        learning.add(one)
    learning.add(Receipt(7, None, {}, 0.0))
    learning.keep()
    found = tuning(Store(tmp_path), KEY, SOLVER)
    assert found is not None
    assert (found.systems, found.work) == (12, 1.0)
    assert Store(tmp_path).document(KEY)["shards"] == [0, 1, 3]


def test_the_order_of_receipts_does_not_matter(tmp_path: Path) -> None:
    for number, order in enumerate(([0, 1, 2, 3], [2, 3, 0, 1])):
        learning = Learning(Store(tmp_path), f"learnt/{number}.json", SOLVER)
        for index in order:
            learning.add(receipt(index, systems=1 + index))
        learning.keep()
    first, second = (Store(tmp_path).document(f"learnt/{number}.json") for number in range(2))
    assert first == second


def test_a_driver_goes_on_from_the_sums_in_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one = Learning(store, KEY, SOLVER)
    one.add(receipt(0))
    one.keep()
    one.add(receipt(1))
    # The second was not kept: its shard was not committed, and is solved again.
    other = Learning(store, KEY, SOLVER)
    other.add(receipt(0))
    other.add(receipt(2))
    other.keep()
    assert store.document(KEY)["shards"] == [0, 2]
    informed = other.informed(5)
    assert isinstance(informed, Tuned)
    assert informed._known is not None
    assert informed._known.total == 8


def test_sums_of_another_solver_are_begun_anew(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one = Learning(store, KEY, SOLVER)
    one.add(receipt(0))
    one.keep()
    changed = SOLVER.model_copy(update={"policy": UpperBound(context=True)})
    assert tuning(store, KEY, changed) is None
    assert tuning(store, KEY, Direct()) is None
    other = Learning(store, KEY, changed)
    assert other.informed(0)._known is None  # type: ignore[attr-defined]  # it is a `Tuned`


def test_a_solver_that_does_not_learn_leaves_nothing(tmp_path: Path) -> None:
    learning = Learning(Store(tmp_path), KEY, Direct())
    learning.add(Receipt(0, None, {}, 0.0))
    learning.keep()
    assert not learning.learns
    assert learning.informed(3) == Direct()
    assert not Store(tmp_path).exists(KEY)


def pipeline(samples: int = 48, **changes: Any) -> Pipeline:
    return Pipeline(
        name="tuned", problem=Darcy(shape=(12, 12)), data=Data(samples=samples, shard=4), solver=SOLVER, **changes
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Local(solve=Role(count=2)).open(("solve",)) as opened:
        yield opened


class Killed(Exception):
    """The driver dies here."""


def test_what_was_learnt_is_there_once_after_a_death_between_sums_and_commit(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, recipe = Store(tmp_path), pipeline()
    commits: list[set[int]] = []
    commit = Committer.commit

    def deadly(self: Committer, shards: Any) -> set[int]:
        if len(commits) == 2:
            raise Killed
        commits.append(commit(self, shards))
        return commits[-1]

    with monkeypatch.context() as patched:
        patched.setattr(Committer, "commit", deadly)
        # A group a shard or two, so that there are several.
        patched.setattr("ritz.tasks.generation.generate.COMMIT_EVERY", (0.0, 0.0))
        with pytest.raises(Killed):
            generate.fn(recipe, store.url, cluster)
    before = store.document(learnt_key(recipe))
    solved = set[int]().union(*commits)
    assert solved < set(before["shards"])
    assert sum(before["total"]["count"]) == 4 * len(before["shards"])

    made: Generated = generate.fn(recipe, store.url, cluster)
    after = store.document(learnt_key(recipe))
    assert after["shards"] == list(range(12))
    assert sum(after["total"]["count"]) == 48
    assert made.tuning is not None
    assert made.tuning.systems == 48
    # Bit for bit what is known of a dataset that is complete.
    again = complete(recipe, store.url)
    assert again is not None
    assert again.tuning == made.tuning
    assert any("settings in hindsight" in row[""] for row in view.rows(made))
    # And after it has grown.
    grown: Generated = generate.fn(pipeline(64), store.url, cluster)
    assert grown.tuning is not None
    assert grown.tuning.systems == 64


def test_an_arm_that_cannot_solve_the_systems_is_refused_before_any_shard(tmp_path: Path, cluster: Cluster) -> None:
    recipe = pipeline().model_copy(update={"problem": Convection(shape=(12, 12))})
    with pytest.raises(
        RecipeError, match=r"arms.0 is 'krylov': method 'cg' needs real symmetric .*; expected a solver"
    ):
        generate.fn(recipe, str(tmp_path), cluster)


def test_later_shards_begin_with_what_earlier_ones_learnt(tmp_path: Path, cluster: Cluster) -> None:
    made: Generated = generate.fn(pipeline(160), str(tmp_path), cluster)
    assert made.tuning is not None
    # 40 shards that began with nothing would try each arm: 40 systems at least.
    assert min(arm.systems for arm in made.tuning.arms) < 25
    assert max(arm.systems for arm in made.tuning.arms) > 80


def test_samples_do_not_depend_on_the_arm(tmp_path: Path, cluster: Cluster) -> None:
    """The dataset is the same one, whoever solves it: identity, fields to the tolerance, and what regenerates."""
    tuned, direct = pipeline(16), pipeline(16).model_copy(update={"solver": Direct()})
    assert tuned.dataset_identity == direct.dataset_identity
    for name, recipe in (("one", tuned), ("other", direct)):
        generate.fn(recipe, str(tmp_path / name), cluster)
    one, other = (read(Store(tmp_path / name), "tuned").load() for name in ("one", "other"))
    assert np.array_equal(one["sample_id"], other["sample_id"])
    np.testing.assert_allclose(one["u"], other["u"], rtol=1e-6)
    again = regenerate(sample_of(str(tmp_path / "one"), "tuned", 11)).receipt
    assert again.agrees
    assert again.solver.document() == {"stored": "krylov", "again": "direct"}
