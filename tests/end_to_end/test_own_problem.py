from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from ritz.storage.datasets import Dataset
from ritz.storage.reading import read
from ritz.storage.store import Store
from tests.command import started
from tests.end_to_end.conftest import example

pytestmark = pytest.mark.slow


def test_the_example_of_the_readme_runs(tmp_path: Path, environment: dict[str, str]) -> None:
    script = tmp_path / "own.py"
    script.write_text(example("class Reaction"), encoding="utf-8")
    with started(sys.executable, script.name, cwd=tmp_path, env=environment) as process:
        stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    error = float(stdout)
    store = Store(tmp_path / "ritz-store")
    dataset = Dataset.open(store, "reaction")
    assert dataset.progress() == {"done": dataset.samples, "failed": 0, "to_go": 0}
    data = read(store, "reaction").load()
    # A predictor of the mean field is off by what the fields vary.
    u = data["u"].values
    spread = np.linalg.norm(u - u.mean(axis=0), axis=1) / np.linalg.norm(u, axis=1)
    assert 0 < error < spread.mean() / 3
    problem = runpy.run_path(str(script))["Reaction"]()
    inputs, fields = {"k": data["k"].values}, {"u": u}
    np.testing.assert_array_equal(problem.draw(0, data["sample_id"].values)["k"], inputs["k"])
    assert (problem.residual(inputs, fields) <= 1e-8 + 2.0**-24 * problem.rounding(inputs, fields)).all()
