"""Bands of a model for another law, calibrated on fresh solves of it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import xarray as xr

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.fields.arrays import Array
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.uncertainty.catalogue import uncertainty
from ritz.compute.uncertainty.conformal.bands import Bands
from ritz.compute.uncertainty.predicted import Predicted
from ritz.flows.recalibrate import recalibrate as flow
from ritz.storage import models
from ritz.storage.files import read_file
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.auditing.model_files import audit
from ritz.tasks.documents.law_calibration import LawCalibration, bands_file, law_calibration, laws
from ritz.tasks.errors import InputError, RecipeError
from ritz.tasks.measuring import law_worker
from ritz.tasks.measuring.law_worker import load_bands, recalibrate
from ritz.tasks.measuring.quantify import quantify
from ritz.tasks.measuring.shifts import fresh_seed, solved
from ritz.tasks.measuring.worker import load_model
from ritz.tasks.parsing.asked_law import asked_law
from ritz.tasks.parsing.recorded_problem import problem_of
from ritz.tasks.prediction.predict import predict
from ritz.tasks.prediction.trained_model import load
from ritz.tasks.views import recalibrated
from ritz.tasks.views.card import card
from ritz.tasks.views.lists import show
from tests.command import inside
from tests.tasks.test_predict import TinyStore

LEARNT = uncertainty({"kind": "conformal", "levels": [0.5, 0.9], "spread": "learnt"})
SPEC = "tiny@v1"


class Doubled(Darcy):
    """Twice the source, of which the surrogate knows nothing."""

    kind: Literal["doubled"] = "doubled"  # type: ignore[assignment]  # a problem of its own

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        return {"u": 2 * super().simulate(inputs, solve)["u"]}

    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        return {"u": super().equations(inputs, fields)["u"] - 1.0}

    def scale(self, inputs: Mapping[str, Array]) -> float:
        return 2 * super().scale(inputs)


def tiny_problem(store: Store) -> Darcy:
    problem = problem_of(read_recipe(store))
    assert isinstance(problem, Darcy)
    return problem


def read_recipe(store: Store) -> dict[str, object]:
    return dict(models.read_card(store, SPEC)["recipe"])


@pytest.fixture(scope="module")
def kept(
    tiny_store: TinyStore, measuring: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Store, LawCalibration]:
    """A copy of the store, where the model has learnt bands, and others for a rougher law."""
    folder = tmp_path_factory.mktemp("laws") / "store"
    shutil.copytree(tiny_store[0], folder)
    store = Store(folder)
    quantify.fn(store.url, measuring, SPEC, SPEC, LEARNT)
    law = asked_law("{sigma: 2.0}", tiny_problem(store), {})
    return store, recalibrate(store.url, SPEC, SPEC, LEARNT, law, 50)


def test_bands_of_another_law_hold_there_what_they_promise(kept: tuple[Store, LawCalibration]) -> None:
    store, found = kept
    assert (found.law, found.changes, found.samples, found.solves) == ("sigma-2", {"law": {"sigma": 2.0}}, 50, 50)
    assert found.before is not None
    assert found.after is not None
    assert (found.before.samples, found.after.samples, found.unmeasured) == (200, 150, "")
    before, after = found.before.coverage["0.9"], found.after.coverage["0.9"]
    assert before.measured < 0.87
    assert before.fields is not None
    assert after.fields is not None
    assert before.fields.measured < after.fields.measured
    assert 0.87 < after.measured < 0.96
    # On further samples of another seed, which nothing has seen.
    problem = asked_law("{sigma: 2.0}", tiny_problem(store), {}).problem
    inputs, truth = solved(problem, 77, 1e-8, 200)
    model, _ = load_model(store, SPEC)
    [_, row] = load_bands(store, SPEC, "sigma-2", model).measure(Predicted(inputs, model.predict(inputs), truth))
    assert row.measured == pytest.approx(after.measured, abs=0.03)


def test_the_bands_of_the_model_stay_and_both_are_listed(
    kept: tuple[Store, LawCalibration], tiny_store: TinyStore
) -> None:
    store, found = kept
    files, _ = models.load(store, SPEC)
    model, bands = load_model(store, SPEC)
    assert isinstance(bands, Bands)
    assert bands.samples != 50
    assert load_bands(store, SPEC, "sigma-2", model) != bands
    assert set(files) >= {"bands.json", "bands.sigma-2.json", "calibration.json", "calibration.sigma-2.json"}
    assert laws(store, SPEC) == {"sigma-2": found}
    assert laws(Store(tiny_store[0]), SPEC) == {}
    assert "laws" not in card(str(tiny_store[0]), SPEC).document()
    assert card(store.url, SPEC).laws == {"sigma-2": found}
    shown = show(store.url, SPEC).model
    assert shown is not None
    assert shown.laws == {"sigma-2": found}
    assert "law: sigma-2" in inside("show", SPEC, "--store", store.url).stdout
    assert audit(store.url, SPEC).clean


def test_the_samples_are_those_of_a_seed_of_their_own(kept: tuple[Store, LawCalibration]) -> None:
    store, found = kept
    assert found.seed == fresh_seed(store, SPEC, SPEC) == 1
    problem = tiny_problem(store)
    inputs, truth = solved(problem, 1, 1e-8, 40)
    later, _ = solved(problem, 1, 1e-8, 15, first=25)
    np.testing.assert_array_equal(inputs["a"][25:], later["a"])
    assert not np.isin(inputs["a"][:, 0, 0], read(store, SPEC)["a"].values[:, 0, 0]).any()
    assert truth["u"].shape == (40, 16, 16)


def test_a_law_with_other_equations_gives_the_shape_of_its_bands_itself(tmp_path: Path, tiny_store: TinyStore) -> None:
    shutil.copytree(tiny_store[0], tmp_path / "store")
    store = Store(tmp_path / "store")
    problem = tiny_problem(store)
    law = asked_law("{sigma: 2.0}", Doubled(shape=problem.shape, law=problem.law), {})
    found = recalibrate(store.url, SPEC, SPEC, LEARNT, law, 50)
    assert (found.shaped, found.samples) == (10, 40)
    assert found.after is not None
    assert 0.85 < found.after.coverage["0.9"].measured < 0.97
    assert any("other equations" in line for line in recalibrated.lines(found, SPEC))
    with pytest.raises(law_worker.Refused, match="--solves: the law has other equations, and 2 of 10 solves give"):
        recalibrate(store.url, SPEC, SPEC, LEARNT, law, 10)


def test_what_is_not_affordable_is_said_to_be_not_measured(
    kept: tuple[Store, LawCalibration], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(kept[0].url, tmp_path / "store")
    monkeypatch.setattr(law_worker, "AFFORDABLE", 1e-6)
    law = asked_law("{alpha: 3.5}", tiny_problem(kept[0]), {})
    found = recalibrate(str(tmp_path / "store"), SPEC, SPEC, LEARNT, law, 20)
    assert found.after is None
    assert found.before is not None
    assert found.before.samples == 20
    assert "150 further solves would take" in found.unmeasured
    [line] = [line for line in recalibrated.lines(found, SPEC) if "→" in line]
    assert "calibrated again on 20 fresh solves" in line
    assert line.endswith("more than 1e-06 s")
    assert {row["after"] for row in recalibrated.rows(found)} == {"-"}


def test_what_is_printed_has_both_coverages(kept: tuple[Store, LawCalibration]) -> None:
    rows = recalibrated.rows(kept[1])
    assert [row["nominal"] for row in rows] == ["50%", "90%"]
    assert rows[1]["points before"].endswith("]")
    law, line, *_, last = recalibrated.lines(kept[1], SPEC)
    assert law.startswith("law 'sigma-2' (sigma 2): mean relative L2 error 0.")
    assert "of whole fields in the 90% bands, on 200 solves → calibrated again on 50 fresh solves (" in line
    assert line.endswith("in the 90% bands, on 150 solves")
    assert last.endswith("`ritz predict tiny@v1 --bands sigma-2` takes these")


def test_predictions_take_the_bands_of_a_law(
    kept: tuple[Store, LawCalibration], inputs: xr.Dataset, tmp_path: Path
) -> None:
    store = kept[0]
    inputs.to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    files = ("--input", str(tmp_path / "in.nc"), "--output", str(tmp_path / "out.nc"))
    done = inside("predict", SPEC, *files, "--bands", "sigma-2", "--store", store.url)
    assert done.returncode == 0, done.stderr
    calibrated = "calibrated on 50 fresh solves of the law 'sigma-2' (sigma 2)"
    assert calibrated in done.stdout
    assert "the bands are those of the law 'sigma-2': whether the inputs are of that law is not judged" in done.stderr
    found = read_file(tmp_path / "out.nc")
    assert found["u_lower"].attrs["comment"].startswith(calibrated)
    own = predict(store.url, SPEC, tmp_path / "in.nc", tmp_path / "own.nc")
    assert own.remarks == ()
    wide, usual = (one["u_upper"] - one["u_lower"] for one in (found, read_file(tmp_path / "own.nc")))
    assert (wide.sel(level=0.9) > usual.sel(level=0.9)).all()
    model = load(store, SPEC, bands="sigma-2")
    predicted = model.predict(inputs)
    lower, _ = model.interval(inputs, predicted, 0.9)
    np.testing.assert_allclose(lower["u"], found["u_lower"].sel(level=0.9), rtol=1e-5, atol=1e-7)


def test_a_law_without_bands_is_refused_with_those_there_are(kept: tuple[Store, LawCalibration]) -> None:
    said = "model tiny@v1 has no bands of a law 'sigma-3', there are: 'sigma-2'; did you mean 'sigma-2'?; `ritz "
    with pytest.raises(InputError, match=re.escape(said)):
        law_calibration(kept[0], SPEC, "sigma-3")


def test_the_flow_refuses_before_any_work(kept: tuple[Store, LawCalibration]) -> None:
    store = kept[0]
    with pytest.raises(RecipeError, match=r"--solves is 18, expected 19 to 10000: the highest of uncertainty\.levels"):
        flow.fn(SPEC, SPEC, {"sigma": 3.0}, store.url, 18)
    with pytest.raises(RecipeError, match=r"--name: model tiny@v1 has bands of the name 'sigma-2' for the law \{'law'"):
        flow.fn(SPEC, SPEC, {"sigma": 3.0}, store.url, name="sigma-2")
    with pytest.raises(RecipeError, match="--law: its fields have the shapes"):
        flow.fn(SPEC, SPEC, {"shape": [8, 8]}, store.url)
    assert bands_file("sigma-3") not in models.files(store, SPEC)
