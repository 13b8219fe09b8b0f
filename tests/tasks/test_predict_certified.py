"""`ritz predict --certify RTOL --keep NAME`: solves in place of predictions, and a dataset of those that are good."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.compute.cluster.local import Local
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.external import External
from ritz.compute.problems.plate import Plate
from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.errors import Refused
from ritz.storage.files import read_file
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.auditing.audit import audit
from ritz.tasks.auditing.audit_record import AuditRecord
from ritz.tasks.auditing.claimed import claimed
from ritz.tasks.auditing.equations import audit_as
from ritz.tasks.auditing.equations_record import EquationAudit
from ritz.tasks.catalogue.worker import catalogue
from ritz.tasks.documents import of_model
from ritz.tasks.errors import InputError
from ritz.tasks.parsing.recorded_problem import problem_of
from ritz.tasks.prediction import certified as certification
from ritz.tasks.prediction.certified import certifiable
from ritz.tasks.prediction.keeping import Keeping
from ritz.tasks.prediction.predict import predict
from ritz.tasks.views.lineage import DatasetLineage, lineage
from tests.command import inside

DATA = Path(__file__).parents[1] / "data" / "store.tar.gz"
DARCY = Darcy(shape=(8, 8))
Work = Callable[..., tuple[Any, xr.Dataset]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with the dataset ``small`` of Darcy on 8² and a model of it that is no good."""
    with tarfile.open(DATA) as archive:
        archive.extractall(tmp_path, filter="data")
    return Store(tmp_path / "store")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Inputs of seven fresh samples."""
    centres = (np.arange(8) + 0.5) / 8
    given = xr.Dataset(
        {"a": (("sample", "y", "x"), DARCY.draw(9, np.arange(7))["a"])}, coords={"y": centres, "x": centres}
    )
    given.to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    return tmp_path / "in.nc"


@pytest.fixture
def work(store: Store, source: Path, tmp_path: Path) -> Work:
    def call(certify: float | None = 1e-8, **given: Any) -> tuple[Any, xr.Dataset]:
        target = tmp_path / "out.nc"
        target.unlink(missing_ok=True)
        result = predict(store.url, "small", source, target, certify=certify, **given)
        return result, read_file(target)

    return call


def test_every_sample_is_solved_and_says_its_residual(work: Work, source: Path) -> None:
    result, found = work()
    fields = found["u_certified"].values
    assert fields.dtype == np.float64
    given = {"a": read_file(source)["a"].values}
    np.testing.assert_allclose(found["certified_residual"], DARCY.residual(given, {"u": fields}))
    assert (found["certified_residual"] <= 1e-8).all()
    assert found["certified"].values.tolist() == [1] * 7
    assert found["certified"].attrs["flag_meanings"] == "not_certified certified"
    assert {"u_certified", "certified", "certified_residual"} <= set(found["u"].attrs["ancillary_variables"].split())
    done = result.certified
    assert (done.rtol, done.certified, done.missed, done.kept) == (1e-8, 7, 0, None)
    assert done.largest == found["certified_residual"].values.max()
    # Linear equations: the fields of a network have a larger residual than zero, which the record tells.
    tried = {one.start: one for one in done.start.tried}
    assert set(tried) == {"own", "prediction", "neighbours"}
    assert tried["prediction"].residual > 1
    assert tried["neighbours"].residual > 0
    race, line = result.remarks[-2:]
    assert race.startswith("start, per sample of 7: ")
    assert line.startswith(
        "certified to a true relative residual of 1e-08: 7 of 7 samples, none missed it; solved from"
    )


def test_what_misses_is_never_called_certified_nor_kept(work: Work, store: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr(certification, "_check_reach", lambda *_: None)
    result, found = work(1e-17, keep="mine")
    assert found["certified"].values.tolist() == [0] * 7
    assert np.isnan(found["u_certified"]).all()
    assert (found["certified_residual"] > 1e-17).all()
    assert (result.certified.certified, result.certified.missed, result.certified.kept) == (0, 7, None)
    assert result.objection().endswith("7 of 7 samples are not certified")
    assert result.remarks[-1] == "no sample is certified: there is no dataset 'mine'"
    assert store.list("datasets") == ["small"]


def test_certified_samples_are_kept_as_a_dataset_with_their_residuals(work: Work, store: Store, source: Path) -> None:
    result, found = work(keep="mine")
    assert result.certified.kept == "mine@v1"
    assert result.remarks[-1] == "7 certified samples are kept as dataset mine@v1"
    data, dataset = read(store, "mine@v1"), Dataset.open(store, "mine")
    np.testing.assert_array_equal(data["u"], found["u_certified"].values.astype(np.float32))
    np.testing.assert_array_equal(data["a"], read_file(source)["a"])
    np.testing.assert_array_equal(data["residual"], found["certified_residual"])
    np.testing.assert_array_equal(data["x"], found["x"])
    assert (dataset.rtol, dataset.at("v1").rounding_bound is not None) == (1e-8, True)
    problem = problem_of(dataset.recipe)
    assert isinstance(problem, External)
    assert dataset.recipe["certified"] == {
        "model": "small@v1",
        "dataset": "small@v1",
        "problem": DARCY.model_dump(mode="json"),
        "start": result.certified.start.chosen,
        "file": "in.nc",
        "digest": dataset.recipe["certified"]["digest"],
        "given": 7,
    }
    traced = lineage(store.url, "mine")
    assert isinstance(traced, DatasetLineage)
    assert traced.recipe.certified == dataset.recipe["certified"]


def test_only_the_certified_ones_are_kept(
    work: Work, store: Store, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_of = certification.Certified.of

    def some(*given: Any) -> certification.Certified:
        found = work_of(*given)
        for row in (2, 5):
            found.ledger["status"][row], found.ledger["reason"][row] = "failed", "not_converged"
            found.fields["u"][row] = np.nan
        return found

    monkeypatch.setattr(certification.Certified, "of", some)
    _, found = work(keep="mine")
    assert found["certified"].values.tolist() == [1, 1, 0, 1, 1, 0, 1]
    kept = read(store, "mine")
    np.testing.assert_array_equal(kept["a"], read_file(source)["a"].values[[0, 1, 3, 4, 6]])
    assert (kept["residual"] <= 1e-8).all()


def test_a_kept_dataset_is_audited_and_catalogued(work: Work, store: Store, tmp_path: Path) -> None:
    work(keep="mine")
    with Local().open(("solve",)) as cluster:
        record: AuditRecord = audit.fn(store.url, cluster, "mine")
        claim = claimed(store, "mine", {"kind": "darcy", "shape": [8, 8]}, 7)
        by_equations: EquationAudit = audit_as.fn(store.url, cluster, claim)
    assert (record.clean, record.samples, record.findings) == (True, 7, ())
    assert (by_equations.verdict, by_equations.samples, by_equations.good) == ("same", 7, True)
    written = catalogue(store.url, str(tmp_path / "site"))
    assert written.datasets == 2
    page = (tmp_path / "site" / "datasets" / "mine" / "index.html").read_text()
    assert "of which the model small@v1 had predicted 7" in page
    assert "7 samples of the problem darcy" in page


def test_the_command_prints_the_race_and_what_it_kept(store: Store, source: Path, tmp_path: Path) -> None:
    asked = ("--input", str(source), "--store", store.url, "--certify", "1e-9", "--keep", "mine", "--output")
    done = inside("predict", "small", *asked, str(tmp_path / "out.nc"), "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)["certified"]
    assert (said["certified"], said["kept"]) == (7, "mine@v1")
    assert said["start"]["chosen"] in {one["start"] for one in said["start"]["tried"]}
    lines = done.stderr.splitlines()
    assert any(line.startswith("start, per sample of 7: ") for line in lines)
    again = inside("predict", "small", *asked, str(tmp_path / "again.nc"))
    assert again.returncode == 2
    assert f"dataset 'mine' is in {store.url} already, and --keep makes a new one; set another name" in again.stderr
    assert len(again.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"certify": 0.0}, "--certify is 0, expected a true relative residual above 0 and below 1, such as 1e-8"),
        ({"certify": -1.0}, "--certify is -1, expected a true"),
        ({"certify": float("nan")}, "--certify is nan, expected a true"),
        ({"certify": 1.0}, "--certify is 1, expected a true"),
        ({"certify": 1e-19}, "--certify is 1e-19, expected at least .*e-1[4-6]: in float64 rounding alone"),
        ({"certify": None, "keep": "mine"}, "--keep is 'mine' without --certify, expected --certify RTOL too"),
        ({"keep": "my/data"}, "--keep is 'my/data', expected the name of a dataset: letters, digits"),
        (
            {"times": "0.5,1"},
            "--times is '0.5,1' with --certify, expected one of them: a certified sample has the times",
        ),
    ],
)
def test_bad_input_is_refused(given: dict[str, Any], said: str, work: Work, store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        work(**given)
    assert not (tmp_path / "out.nc").exists()
    assert store.list("datasets") == ["small"]


def test_a_dataset_that_is_there_stays_as_it_is(work: Work, store: Store, tmp_path: Path) -> None:
    before = Committer.open(store, "small").versions()
    with pytest.raises(Refused, match=r"dataset 'small' is in .* already, and --keep makes a new one"):
        work(keep="small")
    assert not (tmp_path / "out.nc").exists()
    assert Committer.open(store, "small").versions() == before


def test_a_model_of_imported_samples_has_no_equations(store: Store) -> None:
    card = of_model.card(store, "small")
    axis: dict[str, Any] = {"name": "x", "count": 4, "axis": "X"}
    names = [{"name": name, "role": role, "dims": ["x"]} for name, role in (("a", "input"), ("u", "output"))]
    external = {"kind": "external", "origin": "0" * 64, "along": [axis], "variables": names}
    inputs: Any = None
    with pytest.raises(InputError, match="problem 'external' of model small@v1 has no equations to solve: its samples"):
        certifiable(card.changed(recipe={**card.recipe, "problem": external}), "small@v1", inputs)


def test_fields_on_a_mesh_cannot_be_kept(store: Store, tmp_path: Path) -> None:
    card = of_model.card(store, "small")
    with pytest.raises(InputError, match="--keep: the fields of problem 'plate' lie on the nodes of a mesh"):
        Keeping.planned(store, "mine", Plate(cells=8), "small@v1", card, tmp_path / "in.nc")
