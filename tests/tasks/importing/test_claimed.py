"""A dataset held against a problem: its variables, its points, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.problems.darcy import Darcy
from ritz.storage.store import Store
from ritz.tasks.auditing.equations import audit_as
from ritz.tasks.auditing.equations_record import EquationAudit
from ritz.tasks.errors import RecipeError
from ritz.tasks.requests.looking import AuditAs
from ritz.tasks.views.by_equations import lines, outliers, rows
from tests.tasks.importing.mapped import VARIABLES, imported, written
from tests.tasks.made import NAME, make

POINTS = {
    "centres": {"y": {"first": 1 / 12, "last": 11 / 12}, "x": {"first": 1 / 12, "last": 11 / 12}},
    "nodes": {"y": {"first": 0.0, "last": 1.0}, "x": {"first": 0.0, "last": 1.0}},
    "nowhere": {},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Path:
    """Datasets of fields that solve nothing, with points at centres, at nodes and nowhere; one sample has failed."""
    folder = tmp_path_factory.mktemp("claimed")
    u = np.random.default_rng(0).normal(size=(12, 6, 6))
    u[5, 0, 0] = np.nan
    with h5py.File(folder / "all.h5", "w") as file:
        file["a"], file["u"] = Darcy(shape=(6, 6)).draw(0, np.arange(12))["a"], u
    for name, dims in POINTS.items():
        imported(
            written(folder, {"name": name, "files": "all.h5", "variables": VARIABLES, "dims": dims}),
            folder / "store",
            cluster,
        )
    return folder / "store"


def _audited(store: str, dataset: str, cluster: Cluster, problem: str = "darcy") -> EquationAudit:
    record: EquationAudit = audit_as.fn(store, cluster, AuditAs.read(dataset, problem, 256).planned(store))
    return record


def test_fields_that_solve_nothing_solve_other_equations(store: Path, cluster: Cluster) -> None:
    record = _audited(str(store), "centres", cluster)
    assert (record.verdict, record.samples, record.of, record.good) == ("other", 11, 11, False)
    assert record.problem["shape"] == [6, 6]
    assert "do not solve 'darcy'" in record.sentence
    assert record.record is not None
    # A number that is none is null in JSON.
    kept = json.loads(Store(store).read(record.record), parse_constant=pytest.fail)
    assert kept == record.document()
    assert [row["by the equations"] for row in rows(record)] == ["relative residual", "estimated relative L2 error"]
    assert lines(record)[-1] == record.sentence
    assert len(outliers(record)) == len(record.outliers)


def test_points_elsewhere_are_refused_and_points_nowhere_are_remarked(store: Path) -> None:
    with pytest.raises(RecipeError, match="the points along 'x' of dataset nodes@v1 lie from 0 to 1, expected those"):
        AuditAs.read("nodes", "darcy", 256).planned(str(store))
    claim = AuditAs.read("nowhere@v1", "darcy", 256).planned(str(store))
    assert claim.remarks == (
        "the dataset does not say where its points along 'x' lie: taken as those of the problem",
        "the dataset does not say where its points along 'y' lie: taken as those of the problem",
    )
    assert len(AuditAs.read("nowhere", "darcy", 8).planned(str(store)).ids) == 8


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ("burgers", "dataset centres@v1 has no input 'u0'|has no (in|out)put"),
        ("{kind: darcy, shape: [6, 8]}", "has the dimensions .*'x': 6.*, expected .*'x': 8"),
        ("{kind: darcy, shpe: [6, 6]}", "shpe"),
        ("[darcy]", "expected the kind of a problem, e.g. darcy, or its fields"),
        ("none.yaml", "no such file"),
    ],
    ids=["variables", "shape", "field", "list", "file"],
)
def test_what_is_no_problem_of_the_dataset_is_said(store: Path, problem: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        AuditAs.read("centres", problem, 256).planned(str(store))


def test_a_problem_is_read_from_a_file(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "as.yaml"
    path.write_text("kind: darcy\n")
    claim: Any = AuditAs.read("centres", str(path), 256).planned(str(store))
    assert claim.problem == Darcy(shape=(6, 6))


def test_datasets_of_ritz_solve_their_own_problem(tmp_path: Path, cluster: Cluster) -> None:
    made = make(tmp_path / "made")
    record = _audited(made.url, NAME, cluster)
    assert (record.verdict, record.outliers, record.good) == ("same", (), True)
    assert record.error is not None
    assert record.error.max is not None
    assert record.error.max < 1e-5
