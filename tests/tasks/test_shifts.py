"""What error bars are worth on laws other than that of the dataset."""

from __future__ import annotations

import re
import shutil
from typing import Any

import numpy as np
import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.laws import Lognormal, TwoPhase
from ritz.compute.uncertainty.catalogue import uncertainty
from ritz.compute.uncertainty.coverage import Coverage
from ritz.storage.errors import Refused
from ritz.storage.store import Store
from ritz.tasks.documents.calibration import Calibration, Drop
from ritz.tasks.documents.of_model import calibration
from ritz.tasks.errors import RecipeError
from ritz.tasks.measuring.coverage_rows import coverage_rows
from ritz.tasks.measuring.gate import Gate
from ritz.tasks.measuring.quantify import quantify
from ritz.tasks.measuring.shifts import solved
from ritz.tasks.parsing.other_law import shifted
from ritz.tasks.recipes import load
from ritz.tasks.report.material import Material, RunFacts
from ritz.tasks.report.recorded import Recorded
from ritz.tasks.report.sections.coverage.levels import Coverage as Section
from tests.command import TINY
from tests.documents import coverage, metrics
from tests.tasks.test_predict import TinyStore

LEARNT = {"kind": "conformal", "levels": [0.5, 0.9], "spread": "learnt"}
ROUGH = {"law": {"sigma": 2.0}}


def test_a_shift_changes_fields_and_leaves_the_others() -> None:
    problem = Darcy(shape=(12, 16), law=Lognormal(sigma=0.5, tau=4.0))
    assert shifted(problem, ROUGH) == Darcy(shape=(12, 16), law=Lognormal(sigma=2.0, tau=4.0))
    assert shifted(problem, {"law": {"kind": "two_phase"}}) == Darcy(shape=(12, 16), law=TwoPhase())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"laws": {}}, "problem 'darcy' has no field 'laws', expected one of ['kind', 'law', 'shape']"),
        ({"law": {"sigma": -1}}, "greater than 0"),
        ({"law": {"sigma": 0.5}}, "it changes nothing"),
        ({"shape": [8, 8]}, "its fields have the shapes"),
    ],
)
def test_what_is_no_shift_is_refused_with_the_recipe(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        shifted(Darcy(shape=(12, 16), law=Lognormal(sigma=0.5)), changes)


def test_a_recipe_names_the_shift_that_is_wrong() -> None:
    with pytest.raises(RecipeError, match=r"uncertainty\.shifts\.rough: problem 'darcy' has no field 'laws'"):
        load(TINY, {"uncertainty": {**LEARNT, "shifts": {"rough": {"laws": {}}}}})
    recipe = load(TINY, {"uncertainty": {**LEARNT, "shifts": {"rough": ROUGH}}})
    assert recipe.document()["uncertainty"]["shifts"] == {"rough": ROUGH}
    assert "shifts" not in load(TINY).document()["uncertainty"]
    with pytest.raises(RecipeError, match=r"gate\.shift is measured at 90 %"):
        load(TINY, {"uncertainty": {**LEARNT, "levels": [0.5], "shifts": {"rough": ROUGH}}, "gate.shift": 0.1})
    with pytest.raises(RecipeError, match=r"gate\.shift is 0\.1 and there is no other law to measure on"):
        load(TINY, {"uncertainty": LEARNT, "gate.shift": 0.1})


def test_samples_of_a_law_are_solved_and_rounded_as_stored() -> None:
    problem = Darcy(shape=(8, 8))
    inputs, truth = solved(problem, seed=3, rtol=1e-8, samples=40)
    assert inputs["a"].shape == truth["u"].shape == (40, 8, 8)
    assert truth["u"].dtype == np.float32
    np.testing.assert_array_equal(inputs["a"], problem.draw(3, np.arange(40))["a"])
    assert problem.residual(inputs, truth).max() < 1e-5


def test_a_law_of_which_nothing_is_solved_is_refused() -> None:
    with pytest.raises(Refused, match="0 of 4 samples of the law were solved to rtol 1e-18, expected at least 2"):
        solved(Darcy(shape=(8, 8)), seed=3, rtol=1e-18, samples=4)


@pytest.fixture(scope="module")
def kept(
    tiny_store: TinyStore, measuring: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Store, Calibration]:
    """A copy of the store, where the model is quantified by learnt widths and on a rougher law."""
    folder = tmp_path_factory.mktemp("shifts") / "store"
    shutil.copytree(tiny_store[0], folder)
    method = uncertainty({**LEARNT, "shifts": {"rough": ROUGH}})
    found = quantify.fn(str(folder), measuring, "tiny@v1", "tiny@v1", method)
    return Store(folder), found


def test_both_coverages_and_the_drop_are_kept(kept: tuple[Store, Calibration], tiny_store: TinyStore) -> None:
    store, found = kept
    assert calibration(store, "tiny@v1") == found
    rough = found.shifted["rough"]
    assert rough.samples == 150
    assert rough.changes == ROUGH
    assert rough.relative_l2 > tiny_store[1]["metrics"]["relative_l2"]["mean"]
    here, there, drop = found.coverage["0.9"], rough.coverage["0.9"], rough.drop["0.9"]
    assert drop.points[0] == pytest.approx(here.measured - there.measured)
    assert drop.points[1] < drop.points[0] < drop.points[2]
    assert here.fields is not None
    assert there.fields is not None
    assert drop.fields is not None
    assert drop.fields[0] == pytest.approx(here.fields.measured - there.fields.measured)
    # Another law costs learnt bands whole fields first.
    assert drop.fields[1] > 0


def test_a_gate_bounds_the_drop_on_every_law(kept: tuple[Store, Calibration]) -> None:
    laws = kept[1].shifted
    assert Gate(shift=0.999).judge(metrics(1.0), coverage(0.9, 0.9), {}, laws).missed == ()
    [reason] = Gate(shift=0.001).judge(metrics(1.0), coverage(0.9, 0.9), {}, laws).missed
    assert reason.startswith("on 'rough' the coverage of 90 % bands drops: points ")
    assert re.search(r"beyond the bound 0\.1% by at least \d+\.\d percentage points$", reason)
    wide = {"rough": laws["rough"].changed(drop={"0.9": Drop(points=(0.2, -0.1, 0.5))})}
    assert Gate(shift=0.1).judge(metrics(1.0), coverage(0.9, 0.9), {}, wide).missed == ()


def test_a_report_has_the_laws(kept: tuple[Store, Calibration]) -> None:
    document = kept[1].document()
    facts = RunFacts(Recorded.of({"coverage": document["coverage"], "shifted": document["shifted"]}), Material())
    page = Section().html(facts, {})
    assert "rough" in page
    assert "on other laws" in page


def test_a_model_names_the_shift_that_its_dataset_does_not_know(
    kept: tuple[Store, Calibration], measuring: Cluster
) -> None:
    method = uncertainty({**LEARNT, "shifts": {"rough": {"nothing": 1}}})
    with pytest.raises(RecipeError, match=r"uncertainty\.shifts\.rough: problem 'darcy' has no field 'nothing'"):
        quantify.fn(kept[0].url, measuring, "tiny@v1", "tiny@v1", method)


def test_error_bars_without_a_bound_are_refused_by_name() -> None:
    endless = Coverage(0.9, np.ones(7), float("nan"))
    with pytest.raises(Refused, match=r"--law: none of 7 samples has an error bar with a bound at the level 0\.9"):
        coverage_rows([endless], "--law")
