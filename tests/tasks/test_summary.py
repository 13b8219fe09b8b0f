from __future__ import annotations

from pathlib import Path
from typing import Any

from ritz.tasks.documents.run import FinishedRun
from ritz.tasks.views.summary import rows
from tests.documents import metrics


def test_a_run_is_told_in_eleven_lines(tiny_store: tuple[Path, dict[str, Any]]) -> None:
    record = tiny_store[1]
    table = {row["what"]: row["value"] for row in rows(FinishedRun.model_validate(record))}
    assert len(table) == 11
    assert table["break-even"].endswith(" ms per sample)")
    assert table["dataset"] == "tiny@v1, 160 samples"
    assert table["model"] == "tiny@v1, not judged: the recipe sets no gate"
    assert table["relative L2"].startswith(f"{record['metrics']['relative_l2']['mean']:.4f} mean")
    assert f"quadratic {record['baselines']['quadratic']['relative_l2']['mean']:.3f}" in table["baselines"]
    assert f"cover {record['coverage']['0.9']['measured']:.1%}" in table["90 % bands"]
    assert table["training"].startswith("96 steps, ")
    assert table["run"] == record["run"]


def test_what_was_not_measured_is_said(tiny_store: tuple[Path, dict[str, Any]]) -> None:
    record = tiny_store[1] | {"coverage": {"0.5": tiny_store[1]["coverage"]["0.5"]}}
    assert {"what": "90 % bands", "value": "not measured"} in rows(FinishedRun.model_validate(record))


def test_a_model_that_misses_its_gate_is_not_called_released(tiny_store: tuple[Path, dict[str, Any]]) -> None:
    missed = {"release": "missed", "released": False, "missed": ["mean relative L2 0.2 is above 0.1"]}
    record = tiny_store[1] | {"model": tiny_store[1]["model"] | missed}
    assert {"what": "model", "value": "tiny@v1, not released"} in rows(FinishedRun.model_validate(record))


def test_a_baseline_that_is_better_is_pointed_at(tiny_store: tuple[Path, dict[str, Any]]) -> None:
    baselines = {"linear": metrics(1e-6), "mean": metrics(9.0)}
    record = FinishedRun.model_validate(tiny_store[1] | {"baselines": baselines})
    [row] = [row for row in rows(record) if row["what"] == "baselines"]
    assert row["value"] == "linear 0.000 (BETTER than the model), mean 9.000"
