"""Questions about laws of the rows of a dataset, on real workers, and what is refused of them."""

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
from ritz.compute.problems.darcy import Darcy
from ritz.compute.uncertainty.propagation.laws.empirical import FittedEmpirical
from ritz.compute.uncertainty.propagation.points import BASE
from ritz.compute.uncertainty.propagation.propagation import Propagation
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.checks import check_populations
from ritz.tasks.errors import RecipeError
from ritz.tasks.preparing import prepare
from ritz.tasks.propagation import kept
from ritz.tasks.propagation.answering import Answers
from ritz.tasks.propagation.propagate import propagate
from ritz.tasks.propagation.question import Question, of_pipeline
from ritz.tasks.propagation.worker import rung_of
from ritz.tasks.recipes import load
from ritz.tasks.requests.propagation import Propagate
from ritz.tasks.views import propagated
from tests.command import TINY, inside

Tiny = tuple[Path, dict[str, Any]]

MEAN = {"quantities": [{"kind": "mean", "of": "u"}]}

EMPIRICAL = "{kind: empirical, dataset: tiny}"

COPULA = "{kind: pca_copula, dataset: tiny@v1, components: 4}"


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


def test_the_mean_and_the_deviation_of_the_rows_are_those_of_their_solves(store: Store, cluster: Cluster) -> None:
    """The dataset holds the solution of every row, so the answers are known."""
    values = read(store, "tiny@v1")["u"].mean(dim=("y", "x")).values.astype(np.float64)
    assert len(values) == read(store, "tiny@v1").sizes["sample"]
    for more, exact in ({}, values.mean()), ({"deviation": True}, values.std()):
        question = asked(store, MEAN | more | {"error": 1e-3}, law=EMPIRICAL)
        assert question.leading == 0
        found = propagate.fn(store.url, cluster, question)
        [answer] = found.answers
        assert answer.question == ("standard deviation" if more else "mean")
        assert found.reached
        # What is chosen depends on the clock: an interval of 95 % may miss, three times as wide it does not.
        assert abs(answer.value - exact) <= 3 * (answer.high - answer.low) / 2
        assert (found.law, found.rows) == ({"kind": "empirical", "dataset": "tiny@v1"}, len(values))
        assert found.quasi_random == 0
        assert "law" not in found.question
        assert found.question.get("deviation", False) is bool(more)
        assert {row.name for row in found.rungs} == {
            "truth",
            "points/2",
            "points/4",
            "network",
            "quadratic",
            "corrected",
        }
        lines = propagated.lines(found)
        assert lines[0] == "law: empirical, dataset tiny@v1"
        assert lines[1].startswith(f"the population is the law of these {len(values):,} rows: ")
        assert kept.find(store, question) == found
        again = prepare(Propagate("tiny@v1", MEAN | more | {"error": 1e-3}, law=EMPIRICAL), store.url, "local")
        assert again.done == found


def test_a_fitted_law_answers_for_a_recipe_with_its_parameters_recorded(store: Store, cluster: Cluster) -> None:
    question = asked(store, MEAN | {"above": 0.05, "error": 0.06}, TINY, law=COPULA)
    found = propagate.fn(store.url, cluster, question)
    assert found.law == {"kind": "pca_copula", "dataset": "tiny@v1", "components": 4}
    assert found.answers[0].low <= found.answers[0].value <= found.answers[0].high
    assert propagated.lines(found)[0] == "law: pca_copula, dataset tiny@v1, components 4"


@pytest.mark.parametrize("law", [EMPIRICAL, COPULA])
def test_an_id_is_the_same_sample_on_all_rungs(store: Store, law: str) -> None:
    places, _ = asked(store, MEAN | {"error": 1e-3}, law=law).places(store.url)
    ids = BASE + np.arange(6)
    drawn = {}
    for name, place in places.items():
        by = place.surrogate if place.surrogate is not None else (None, 1e-8)
        of = rung_of(name, place.problem, by, place.law).law  # type: ignore[arg-type]  # nothing is solved
        assert of is not None
        drawn[name] = np.log(of.draw(0, ids)["a"].astype(np.float64))
    assert set(places) == {"truth", "points/2", "points/4", "network", "quadratic", "corrected"}
    truth = drawn["truth"]
    for name in ("network", "quadratic", "corrected"):
        np.testing.assert_array_equal(drawn[name], truth)
    for fewer in (2, 4):
        n = truth.shape[1] // fewer
        np.testing.assert_allclose(
            drawn[f"points/{fewer}"], truth.reshape(6, n, fewer, n, fewer).mean(axis=(2, 4)), atol=1e-5
        )
    if law == EMPIRICAL:
        data = read(store, "tiny@v1").sortby("sample_id")
        at = FittedEmpirical(asked(store, MEAN | {"error": 1e-3}, law=law).law.stored()).rows(0, ids)  # type: ignore[union-attr]
        np.testing.assert_array_equal(np.exp(truth).astype(np.float32), data["a"].values[at])


def test_a_recipe_on_a_coarser_grid_takes_means_and_one_on_a_finer_grid_is_refused(store: Store) -> None:
    question = MEAN | {"error": 1e-3}
    shape = load(TINY, {}, stages=()).problem.shape  # type: ignore[attr-defined]
    half, twice = ([int(cells * factor) for cells in shape] for factor in (0.5, 2))
    found, left_out = asked(store, question, TINY, law=EMPIRICAL, overrides={"problem.shape": half}).places(store.url)
    assert "points/2" in found
    assert "points/4" in left_out
    with pytest.raises(RecipeError, match=f"--law: dataset tiny@v1, empirical: input 'a': there are {shape[0]} points"):
        asked(store, question, TINY, law=EMPIRICAL, overrides={"problem.shape": twice})


def test_a_driver_that_was_killed_goes_on_from_the_answers_about_rows(
    store: Store, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ritz.tasks.propagation.answering.KEEP_EVERY", 0.0)
    question = asked(store, MEAN | {"error": 2e-3, "rungs": []}, TINY, law=EMPIRICAL)
    monkeypatch.setattr(Answers, "forget", lambda _: None)
    first = propagate.fn(store.url, cluster, question)
    assert store.exists(kept.answers(question))
    resumed = Answers(
        cluster, question.places(store.url)[0], question.asked.quantities, question.seed, store, kept.answers(question)
    )
    again = question.asked.run(resumed.ask, ["truth"], question.seed, question.leading)
    assert resumed.samples == 0
    assert again.means is not None
    assert again.means.value[0] == first.answers[0].value


def test_identities_tell_laws_apart(store: Store) -> None:
    fields = MEAN | {"error": 1e-3}
    one = asked(store, fields, law=EMPIRICAL)
    assert asked(store, fields, law="{kind: empirical, dataset: tiny@v1}").identity == one.identity
    assert asked(store, fields | {"law": {"kind": "empirical", "dataset": "tiny"}}).identity == one.identity
    assert one.law is not None
    others = [
        *(asked(store, fields), asked(store, fields, law=COPULA), asked(store, fields, law=COPULA.replace("4", "5"))),
        replace(one, law=replace(one.law, snapshot="another")),
        asked(store, fields | {"deviation": True}, law=EMPIRICAL),
    ]
    assert len({question.identity for question in (one, *others)}) == 6


def test_a_question_from_before_there_were_laws_has_the_identity_that_it_had(store: Store) -> None:
    question = Propagation.model_validate(MEAN | {"error": 1e-3})
    assert (
        Question("x", Darcy(shape=(8, 8)), 1e-8, 3, {}, question).identity
        == "9ddda8c9948b84cd2795350b00e994e8b4c2f215c283dd752dd0c0d11b9c7bdc"
    )


def test_a_recipe_asks_about_laws_and_its_run_refuses_those_that_are_none(store: Store) -> None:
    def recipe(law: object, **more: object) -> Any:
        return load(TINY, {"propagate": [{**MEAN, "seconds": 5.0, "law": law, **more}]}, stages=())

    questions = [
        of_pipeline(recipe(law), store, "tiny@v1", "tiny@v1", "id")[0]
        for law in ({"sigma": 0.5}, {"kind": "pca_gaussian", "dataset": "tiny", "components": 3})
    ]
    assert questions[0].changes == {"law": {"sigma": 0.5}}
    assert questions[1].law is not None
    assert questions[1].law.document == {"kind": "pca_gaussian", "dataset": "tiny@v1", "components": 3}
    assert not any("law" in question.asked.model_dump() for question in questions)
    for law, said in (
        ({"sigma": -1.0}, r"propagate\.0\.law"),
        ({"kind": "empirical"}, r"propagate\.0\.law: dataset is missing, expected the name of one of the store"),
        (
            {"kind": "pca", "dataset": "tiny"},
            r"propagate\.0\.law: kind is 'pca', expected one of empirical, pca_copula,",
        ),
    ):
        with pytest.raises(RecipeError, match=said):
            recipe(law)
    with pytest.raises(
        RecipeError, match="sensitivity is 2 with the law 'empirical' of rows, which has no coordinates"
    ):
        recipe({"kind": "empirical", "dataset": "tiny"}, sensitivity=2)
    check_populations(recipe({"kind": "empirical", "dataset": load(TINY, {}, stages=()).name}), store.url)
    with pytest.raises(RecipeError, match=r"propagate\.0\.law: dataset tiny@v1, pca_gaussian: .* expected more than"):
        check_populations(recipe({"kind": "pca_gaussian", "dataset": "tiny@v1", "components": 9999}), store.url)


@pytest.mark.parametrize(
    ("law", "said"),
    [
        ("{kind:empirical,dataset:none}", "dataset 'none': not in "),
        ("{kind:empirical,dataset:tiny@v9}", "v9"),
        ("{kind:empirical}", "--law: dataset is missing, expected the name of one of the store"),
        (
            "{dataset:tiny}",
            "--law: kind is missing, expected one of empirical, pca_copula, pca_gaussian, smoothed_boot",
        ),
        ("{kind:empirica,dataset:tiny}", "--law: kind is 'empirica', expected one of "),
        ("{kind:empirical,dataset:3}", "--law: dataset is 3, expected the name of one of the store"),
        ("{kind:pca_copula,dataset:tiny,components:0}", "--law"),
        ("{kind:pca_copula,dataset:tiny,components:9999}", "tiny@v1, pca_copula: there are "),
        ("{kind:empirical,dataset:tiny,rows:3}", "--law"),
    ],
)
def test_a_law_that_is_none_is_one_clear_line(tiny_store: Tiny, law: str, said: str) -> None:
    given = law.replace(":", ": ")
    words = ("--quantity", "mean:u", "--error", "0.1", "--law", given, "--store", str(tiny_store[0]))
    done = inside("propagate", "tiny@v1", *words)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stderr.startswith("ritz: ")
    assert done.stderr.count("\n") == 1


def test_a_dataset_of_another_problem_and_indices_without_coordinates_are_refused(tiny_store: Tiny) -> None:
    for about, words, said in (
        ("elliptic", ("--error", "0.1"), "dataset tiny@v1 is of problem 'darcy', expected one of problem 'elliptic'"),
        ("tiny@v1", ("--sensitivity", "2", "--seconds", "9"), "sensitivity is 2 with the law 'empirical' of rows"),
    ):
        done = inside(
            "propagate", about, "--quantity", "mean:u", *words, "--law", EMPIRICAL, "--store", str(tiny_store[0])
        )
        assert done.returncode == 2
        assert said in done.stderr
