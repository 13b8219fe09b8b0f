"""Answers about populations, on real workers: of a model of the store and of a recipe alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.local import Local
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.uncertainty.propagation.points import pilot
from ritz.compute.uncertainty.propagation.telescope import Wanted
from ritz.storage.errors import Refused
from ritz.storage.store import Store
from ritz.tasks.preparing import prepare
from ritz.tasks.propagation import kept
from ritz.tasks.propagation.answering import Answers
from ritz.tasks.propagation.propagate import propagate
from ritz.tasks.propagation.question import Question
from ritz.tasks.propagation.rungs import places
from ritz.tasks.requests.propagation import Propagate
from ritz.tasks.views import propagated
from tests.command import TINY, inside

Tiny = tuple[Path, dict[str, Any]]

MEAN = {"quantities": [{"kind": "mean", "of": "u"}]}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Local().open(("solve", "train")) as opened:
        yield opened


@pytest.fixture
def store(tiny_store: Tiny, tmp_path: Path) -> Store:
    shutil.copytree(tiny_store[0], tmp_path / "store")
    return Store(tmp_path / "store")


def asked(store: Store, question: dict[str, Any], about: str = "tiny@v1", **more: Any) -> Question:
    return prepare(Propagate(about, question, **more), store.url, "local").work


def test_a_models_population_is_answered_by_what_pays_and_kept(store: Store, cluster: Cluster) -> None:
    question = asked(store, MEAN | {"error": 5e-4})
    found = propagate.fn(store.url, cluster, question)
    assert [row.name for row in found.rungs] == ["truth", "points/2", "points/4", "network", "quadratic", "corrected"]
    assert found.left_out == {"points/8": found.left_out["points/8"]}
    [answer] = found.answers
    assert found.reached
    assert 0 < answer.value - answer.low <= 5e-4
    assert answer.value - answer.low == pytest.approx(answer.high - answer.value)
    inputs = question.problem.draw(11, np.arange(2000))
    mean = simulate(question.problem, inputs, Direct(), 1e-8)[0]["u"].mean()
    # And the mean of so many solves has an error of its own.
    assert abs(answer.value - mean) <= 5e-4 + 3e-4
    assert kept.find(store, question) == found
    assert not store.exists(kept.answers(question))
    again = prepare(Propagate("tiny@v1", MEAN | {"error": 5e-4}), store.url, "local")
    assert again.done == found
    assert prepare(Propagate("tiny@v1", MEAN | {"error": 4e-4}), store.url, "local").done is None
    lines = propagated.lines(found)
    assert any(line.startswith("taken: ") and "quasi-random points of 64 coordinates" in line for line in lines)
    assert [row["rung"] for row in propagated.rungs(found)] == [row.name for row in found.rungs]
    assert propagated.answers(found)[0]["quantity"] == "mean:u"


def test_a_recipe_alone_has_solves_and_grids_and_another_law(store: Store, cluster: Cluster) -> None:
    question = asked(store, MEAN | {"above": 0.05, "error": 0.05}, TINY, law="{sigma: 0.5}", seed=3)
    assert question.roles == ("solve",)
    assert question.changes == {"law": {"sigma": 0.5}}
    found = propagate.fn(store.url, cluster, question)
    assert {row.name for row in found.rungs} == {"truth", "points/2", "points/4"}
    [answer] = found.answers
    assert answer.question == "above 0.05"
    assert 0 <= answer.low <= answer.value <= answer.high <= 1
    assert answer.high - answer.low <= 0.1
    assert answer.solved <= answer.samples
    assert propagated.lines(found)[0] == "law: sigma 0.5"


def test_a_driver_that_was_killed_goes_on_from_what_was_answered(
    store: Store, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ritz.tasks.propagation.answering.KEEP_EVERY", 0.0)
    question = asked(store, MEAN | {"error": 1e-3})
    found, _ = places(question.problem, 1e-8, question.asked.quantities)
    key = kept.answers(question)
    points = pilot(0, 64)
    wanted = [
        Wanted(0, ("truth", "points/2"), part, points.taken(slice(16 * part, 16 * part + 16))) for part in range(2)
    ]
    first = Answers(cluster, found, question.asked.quantities, 0, store, key)
    answered = list(first.ask(wanted))
    assert first.samples == 64
    second = Answers(cluster, found, question.asked.quantities, 0, store, key)
    for one, other in zip(answered, second.ask(wanted), strict=True):
        assert one.seconds == other.seconds
        for mine, theirs in zip(one.values, other.values, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert second.samples == 0


def test_indices_of_sensitivity_are_rows_of_the_answer(store: Store, cluster: Cluster) -> None:
    question = asked(store, MEAN | {"sensitivity": 2, "seconds": 20.0, "rungs": []})
    found = propagate.fn(store.url, cluster, question)
    rest = [
        f"{sort} index of {name}"
        for sort in ("first", "total")
        for name in ("coordinate 1", "coordinate 2", "the rest")
    ]
    assert [row.question for row in found.answers] == rest
    assert all(row.low <= row.value <= row.high for row in found.answers)
    assert found.answers[0].solved == found.answers[0].samples


def test_reduced_bases_are_a_rung_where_they_are_named(store: Store, cluster: Cluster) -> None:
    question = asked(store, MEAN | {"error": 2e-3, "rungs": ["bases"]})
    found = propagate.fn(store.url, cluster, question)
    assert [row.name for row in found.rungs] == ["truth", "bases"]
    assert found.reached


def test_a_budget_below_the_pilot_is_refused(store: Store, cluster: Cluster) -> None:
    question = asked(store, MEAN | {"seconds": 1e-3})
    with pytest.raises(Refused, match=r"propagate tiny@v1: seconds is 0\.001, expected more than .*, the|that is what"):
        propagate.fn(store.url, cluster, question)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--quantity mean:v --error 0.1", "mean:v: of is 'v', expected one of the outputs ['u']"),
        ("--quantity flux:u:top --error 0.1", "flux:u:top: wall is 'top', expected one of ['x_low', 'x_high'"),
        ("--quantity mean:u@0.5 --error 0.1", "mean:u@0.5: time is 0.5, and the output 'u' has none"),
        ("--quantity at:u:0.5 --error 0.1", "at:u:0.5: point is (0.5,), expected 2 coordinates, x, y"),
        ("--quantity man:u --error 0.1", "--quantity: quantity 'man:u': kind is 'man', expected one of at,"),
        ("--quantity mean:u:3 --error 0.1", "--quantity: quantity 'mean:u:3': expected mean:OF"),
        ("--error 0.1", "--quantity is missing, expected one or more"),
        ("--quantity mean:u", "neither is given, expected error or seconds"),
        ("--quantity mean:u --error 0.1 --seconds 3", "error is 0.1 and seconds is 3.0, expected error or seconds"),
        (
            "--quantity mean:u --error 0.1 --rung fine",
            "--rung is 'fine', expected some of ['points/2', 'points/4', 'net",
        ),
        ("--quantity mean:u --error 0.1 --rung points/8", "--rung is 'points/8': "),
        ("--quantity mean:u --error 0.1 --only-solves --rung network", "--only-solves with --rung 'network'"),
        ("--quantity mean:u --error 0.1 --law {sigma:9}", "--law"),
        ("--quantity mean:u --error 0.1 --law {shape:[8,8]}", "--law"),
        ("--quantity mean:u --error 0.1 --seed -1", "--seed is -1, expected 0 or more"),
    ],
)
def test_a_bad_question_is_one_clear_line(tiny_store: Tiny, words: str, said: str) -> None:
    done = inside("propagate", "tiny@v1", *words.split(), "--store", str(tiny_store[0]))
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("ritz: ")
    assert done.stderr.count("\n") == 1


def test_identities_tell_questions_apart(store: Store) -> None:
    one = asked(store, MEAN | {"error": 1e-3})
    others = [
        *(asked(store, MEAN | {"error": 2e-3}), asked(store, MEAN | {"error": 1e-3}, seed=9)),
        *(asked(store, MEAN | {"error": 1e-3}, law="{sigma: 0.5}"), asked(store, MEAN | {"error": 1e-3}, TINY)),
        replace(one, rtol=1e-6),
    ]
    assert len({question.identity for question in (one, *others)}) == 6
