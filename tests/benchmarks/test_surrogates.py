from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import surrogates
from ritz.compute.problems.darcy import Darcy
from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected


def test_a_killed_run_goes_on_after_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    first, second = {"surrogate": {"kind": "fno"}, "seed": 0}, {"surrogate": {"kind": "fno"}, "seed": 1}
    rows = surrogates.Rows(path)
    rows.add(first, {"error": 0.1})
    rows.add(second, {"error": 0.2})
    whole = path.read_text()
    path.write_text(whole[:-5])
    again = surrogates.Rows(path)
    assert again.get(dict(reversed(first.items()))) == {"error": 0.1}
    assert again.get(second) is None
    again.add(second, {"error": 0.3})
    assert surrogates.Rows(path).get(second) == {"error": 0.3}
    assert [json.loads(line)["row"]["error"] for line in path.read_text().splitlines()] == [0.1, 0.3]


def test_a_row_has_the_steps_that_fit_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogates, "PROBLEM", Darcy(shape=(8, 8)))
    monkeypatch.setattr(surrogates, "TRAIN", 72)
    monkeypatch.setattr(surrogates, "TEST", 8)
    train, test = surrogates.samples(tmp_path)
    assert (train["a"].shape, test["u"].shape) == ((72, 8, 8), (8, 8, 8))
    again, _ = surrogates.samples(tmp_path)
    np.testing.assert_array_equal(again["u"], train["u"])
    surrogate = FullyConnected(width=16, layers=1)
    assert surrogates.budget(surrogate, train, 2.0, 1e-3) > surrogates.budget(surrogate, train, 0.02, 1e-3)
    row = surrogates.row("fully_connected", surrogate, 0, 0.2, train, test)
    assert row["parameters"] == 65 * 16 + 17 * 64
    learnt, times = surrogates.trained(surrogate, train, row["steps"], 0, 1e-3)
    assert len(times) == row["steps"]
    error = surrogates.relative_l2(learnt.predict(test)["u"], test["u"]).mean()
    assert row["error"] == pytest.approx(error, rel=1e-12)
    mean = surrogates.baseline("mean", train, test)
    expected = surrogates.relative_l2(np.repeat(train["u"].mean(axis=0)[None], 8, axis=0), test["u"]).mean()
    assert mean["error"] == pytest.approx(expected, rel=1e-5)
    json.dumps([row, mean])
