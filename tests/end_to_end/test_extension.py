"""A package that brings a method to every open room, from one file outside the tree, and a recipe that uses them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.compute.fields.errors import relative_l2
from ritz.storage.reading import read
from ritz.storage.runs import report_location
from ritz.storage.store import Store
from ritz.tasks.measuring.split_fields import load
from tests import attached
from tests.command import SMALL, ritz
from tests.end_to_end import extension

pytestmark = pytest.mark.slow

POINTS = """
[ritz.problems]
cooling = ritz_cooling:Cooling
[ritz.solvers]
dense = ritz_cooling:Dense
[ritz.preconditioners]
neumann = ritz_cooling:Neumann
[ritz.surrogates]
point_by_point = ritz_cooling:PointByPoint
nearest = ritz_cooling:Nearest
[ritz.losses]
mean_square = ritz_cooling:MeanSquare
[ritz.buffers]
latest = ritz_cooling:Latest
[ritz.metrics]
largest = ritz_cooling:LargestInUnits
[ritz.uncertainties]
worst = ritz_cooling:Worst
"""

RECIPE = {
    "problem": "cooling",
    "surrogate": "point_by_point",
    "training.losses": "[mean_square]",
    "training.buffer": "{kind: latest, capacity: 8}",
    "training.batches_per_sample": "0.25",
    "evaluation": "[relative_l2, largest]",
    "uncertainty": "{kind: worst, levels: [0.5, 0.9]}",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where the package is installed."""
    place = tmp_path_factory.mktemp("installed")
    shutil.copy(extension.__file__, place / "ritz_cooling.py")
    about = place / "ritz_cooling-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: ritz-cooling\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(POINTS)
    return place


@pytest.fixture(scope="module")
def installed(place: Path, environment: dict[str, str]) -> dict[str, str]:
    """The environment of a command that finds the package."""
    path = os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH")]))
    return {**environment, "PYTHONPATH": path}


@pytest.fixture(scope="module")
def profile(place: Path) -> Iterator[str]:
    """A profile of workers that find the package."""
    with pytest.MonkeyPatch.context() as patch:
        # Workers look for modules where the process does that starts them.
        patch.syspath_prepend(place)
        with Local(solve=Role(count=1), train=Role(count=1)).open() as cluster:
            yield attached.profile(cluster)


PRECONDITIONED = "{kind: recycled, preconditioner: {kind: neumann, terms: 3}}"


@pytest.mark.parametrize(
    "solver",
    ["auto", *(pytest.param(solver, marks=pytest.mark.soak) for solver in ("dense", PRECONDITIONED))],
    ids=["auto", "dense", "neumann"],
)
def test_its_methods_run_to_a_report(installed: dict[str, str], profile: str, tmp_path: Path, solver: str) -> None:
    changes = [part for name, value in {**RECIPE, "solver": solver}.items() for part in ("--set", f"{name}={value}")]
    store = ("--store", str(tmp_path / "store"), "--profile", profile)
    done = ritz("run", SMALL, *changes, *store, "--json", env=installed)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["status"] == "finished"
    assert record["recipe"]["training"]["losses"][0]["kind"] == "mean_square"
    assert record["recipe"]["training"]["buffer"]["kind"] == "latest"
    assert set(record["metrics"]) == {"relative_l2", "largest"}
    assert set(record["metrics"]["largest"]) == {"size", "place"}
    assert set(record["coverage"]) == {"0.5", "0.9"}
    if solver == "dense":
        assert record["ledger"]["solvers"] == {"dense": 40}
    elif solver == PRECONDITIONED:
        assert record["ledger"]["solvers"] == {"recycled": 40}
        assert record["recipe"]["solver"]["preconditioner"] == {"kind": "neumann", "terms": 3}
    else:
        tried = {row["solver"]["kind"] for row in record["choice"]["tried"]}
        assert "dense" in tried
    page = Path(report_location(Store(tmp_path / "store"), record["run"])).read_text(encoding="utf-8")
    assert "largest error, size" in page
    # Nothing is said of bands that are not there.
    assert "conformal" not in page.split('<section id="coverage">')[1].split("</section>")[0]


def test_its_fitted_surrogate_becomes_a_model_of_a_dataset(
    installed: dict[str, str], profile: str, tmp_path: Path
) -> None:
    store = ("--store", str(tmp_path / "store"), "--profile", profile, "--json")

    def command(*arguments: str) -> Any:
        done = ritz(*arguments, *store, env=installed)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    command("generate", SMALL, "--set", "problem=cooling", "--set", "uncertainty={kind: worst, levels: [0.5, 0.9]}")
    recipe = {"problem": "cooling", "uncertainty": "{kind: worst, levels: [0.5, 0.9]}", "evaluation": "[relative_l2]"}
    changes = [part for name, value in recipe.items() for part in ("--set", f"{name}={value}")]
    fitted = ("--set", "surrogate=nearest", "--set", "training=fit")
    trained = command("train", SMALL, "--dataset", "small@v1", *changes, *fitted)
    assert (trained["training"]["steps"], trained["training"]["samples_received"]) == (1, 24)
    evaluated = command("evaluate", "small@v1", "--dataset", "small@v1")
    # It answers with the output of the nearest training sample.
    data = read(Store(tmp_path / "store"), "small@v1")
    (seen, known), (asked, truth) = (load(data, split) for split in ("train", "test"))
    nearest = np.linalg.norm(asked["u0"][:, None] - seen["u0"], axis=2).argmin(axis=1)
    error = np.mean(relative_l2(known["u"][nearest], truth["u"]))
    assert evaluated["metrics"]["relative_l2"]["mean"] == pytest.approx(error, rel=1e-5)
    coverage = command("quantify", "small@v1", "--dataset", "small@v1")["coverage"]
    assert set(coverage) == {"0.5", "0.9"}
    assert 0 < coverage["0.5"]["measured"] <= coverage["0.9"]["measured"] <= 1
