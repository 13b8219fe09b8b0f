from __future__ import annotations

import io
import json
import math
import os
import pty
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ritz.storage import models
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.measuring.worker import load_model
from tests.command import RITZ, TINY, inside, started
from tests.faults.conftest import PATIENCE, PROBES, SHARDS, new
from tests.faults.conftest import environment as environment  # with the kind `trapped`

Tiny = tuple[Path, dict[str, Any]]

SUMMARY = {"mean", "median", "p95", "max"}
ERRORS = {
    *("relative_l2", "h1", "max_error", "spectral", "nrmse", "vrmse", "boundary", "integral", "flux"),
}
LEVELS = ("0.5", "0.8", "0.9", "0.95")


def test_the_record_has_every_documented_key(tiny_store: Tiny) -> None:
    _, record = tiny_store
    assert set(record) == {
        *("run", "status", "identity", "fit", "created", "command", "recipe", "versions", "machine"),
        *("dataset", "model", "metrics", "baselines", "coverage", "bar_seconds", "ranking", "cost", "break_even"),
        *("ledger", "choice", "panel", "times", "solving", "memory", "usage", "paths"),
    }
    assert {"name", "version", "snapshot", "samples"} <= set(record["dataset"])
    assert {"name", "version"} <= set(record["model"])
    assert set(record["metrics"]) == ERRORS
    assert set(record["metrics"]["relative_l2"]) == SUMMARY
    assert set(record["coverage"]) == set(LEVELS)
    assert all({"nominal", "measured", "width"} <= set(row) for row in record["coverage"].values())
    assert {"max_residual", "solvers", "solved", "reused", "failed", "seconds"} <= set(record["ledger"])
    assert {"first_step", "last_shard", "steps", "steps_while_solving"} <= set(record["times"])
    assert set(record["paths"]) == {"report", "store"}
    assert record["status"] == "finished"
    assert (record["dataset"]["samples"], record["dataset"]["version"]) == (160, "v1")
    assert record["dataset"]["splits"] == {"train": 96, "validate": 16, "calibrate": 24, "test": 24}


def test_the_baselines_stand_beside_the_metrics_in_their_order(tiny_store: Tiny) -> None:
    _, record = tiny_store
    assert all(set(row) == ERRORS for row in record["baselines"].values())
    mean, linear, quadratic = (record["baselines"][name]["relative_l2"]["mean"] for name in record["baselines"])
    assert list(record["baselines"]) == ["mean", "linear", "quadratic"]
    assert 0.6 > mean > 1.5 * linear > 1.5 * quadratic > 0.05
    # A tiny network after 96 steps is nothing to be proud of; one that had learnt nothing would be above the mean.
    assert 0 < record["metrics"]["relative_l2"]["mean"] < mean


def test_metrics_and_coverage_are_those_of_the_stored_model(tiny_store: Tiny) -> None:
    store, record = tiny_store
    model, bands = load_model(Store(store), "tiny@v1")
    data = read(Store(store), "tiny@v1")
    test = data.isel(sample=np.flatnonzero(data["sample_id"].values % 20 >= 17))
    inputs, truth = {"a": test["a"].values}, test["u"].values
    prediction = model.predict(inputs)
    wrong = np.abs(prediction["u"] - truth)
    relative = np.sqrt(np.sum(wrong**2, axis=(1, 2)) / np.sum(truth**2, axis=(1, 2)))
    found = record["metrics"]["relative_l2"]
    wanted = (relative.mean(), np.median(relative), np.percentile(relative, 95), relative.max())
    np.testing.assert_allclose([found[key] for key in ("mean", "median", "p95", "max")], wanted, rtol=1e-4)
    assert bands is not None
    for level in LEVELS:
        lower, upper = (end["u"] for end in bands.interval(inputs, prediction, float(level)))
        row = record["coverage"][level]
        assert row["nominal"] == float(level)
        assert row["measured"] == pytest.approx(np.mean((lower <= truth) & (truth <= upper)), abs=1e-3)
        assert row["measured"] == pytest.approx(float(level), abs=0.15)
        assert row["width"] == pytest.approx(np.mean(upper - lower), rel=1e-3)


def test_the_ledger_adds_up(tiny_store: Tiny) -> None:
    store, record = tiny_store
    ledger, data = record["ledger"], read(Store(store), "tiny@v1")
    assert (ledger["solved"], ledger["reused"], ledger["failed"]) == (160, 0, 0)
    assert sum(ledger["solvers"].values()) == 160
    assert ledger["max_residual"] == data["residual"].values.max() <= 1e-8
    assert ledger["seconds"] == pytest.approx(data["seconds"].values.sum())


def test_it_trained_while_it_solved(tiny_store: Tiny) -> None:
    store, record = tiny_store
    times = record["times"]
    assert times["steps"] == 96
    # A shard of these takes less than a step: how far the trainer is when the last one comes depends on the machine.
    assert times["steps_while_solving"] > 0
    assert 0 < times["first_step"] < times["last_shard"] < times["total"]
    files, card = models.load(Store(store), "tiny@v1")
    assert (card["mode"], card["run"], card["training"]["samples_received"]) == ("online", record["run"], 96)
    schedule = np.load(io.BytesIO(files["schedule.npy"]))
    assert schedule.shape == (96, 8)
    assert set(schedule.ravel() % 20) <= set(range(12))
    received = [row["time"] for row in json.loads(files["history.json"])["received"]]
    assert len(received) == 20


def test_the_record_and_the_card_say_what_the_run_took_of_machines(tiny_store: Tiny) -> None:
    store, record = tiny_store
    usage = record["usage"]
    assert models.load(Store(store), "tiny@v1")[1]["usage"] == usage
    assert (usage["workers"], usage["nodes"], usage["attempts"]) == (3, 1, 1)
    hours = record["times"]["total"] / 3600
    # Three workers of one thread; they start after the run, and its report is not counted.
    assert 0.2 * hours < usage["node_hours"] < hours
    assert usage["node_hours"] < usage["core_hours"] < 3 * hours
    assert 0 < usage["efficiency"] <= 1.05
    assert usage["efficiency"] == pytest.approx(usage["cpu_hours"] / usage["core_hours"], abs=1e-3)


def test_it_trains_on_what_there_is_while_the_rest_is_solved(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> None:
    """The last shards are solved only after half of the steps, as the bars of a terminal tell."""
    trap, (ours, theirs) = new(tmp_path_factory, environment), pty.openpty()
    shown = {"stderr": theirs, "env": {**trap.environment, "TERM": "xterm", "COLUMNS": "160"}}
    with trap.gated(PROBES + SHARDS - 5), started(RITZ, *trap.command(), **shown) as driver:
        os.close(theirs)
        seen, half, deadline = "", False, time.monotonic() + PATIENCE
        with suppress(OSError):
            while some := os.read(ours, 65536):
                assert time.monotonic() < deadline, "three quarters of the samples are too few for half of the steps"
                seen = (seen + re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", some.decode(errors="replace")))[-65536:]
                if not half and any(int(step) >= 48 for step in re.findall(r"train +[━╸╺ ]+(\d+)/96", seen)):
                    half = True
                    assert trap.committed() <= SHARDS - 5
                    trap.let_through(5)
        os.close(ours)
        printed, _ = driver.communicate(timeout=PATIENCE)
    times = json.loads(printed)["times"]
    assert times["steps"] == 96
    assert times["steps_while_solving"] >= times["steps"] / 2
    assert 0 < times["first_step"] < times["last_shard"] < times["total"]


def test_the_driver_stays_small(tiny_store: Tiny) -> None:
    assert tiny_store[1]["memory"]["driver_peak"] <= 300e6 + 200 * 160


def test_the_report_is_one_page_without_outside_links(tiny_store: Tiny) -> None:
    store, record = tiny_store
    path = Path(record["paths"]["report"])
    assert path.is_relative_to(store)
    text = path.read_text(encoding="utf-8")
    addresses = re.findall(r"""\b(?:src|srcset|href|action)\s*=\s*["']([^"']*)""", text)
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "@import" not in text
    assert "url(http" not in text
    assert record["run"] in text
    assert record["dataset"]["snapshot"] in text


def test_the_same_command_again_has_nothing_to_do(tiny_store: Tiny) -> None:
    store, record = tiny_store
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    again = inside("run", TINY, "--store", str(store), "--json")
    assert again.returncode == 0
    assert "nothing to do" in again.stderr
    assert json.loads(again.stdout) == record
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


def test_numbers_are_finite(tiny_store: Tiny) -> None:
    def numbers(value: Any) -> list[float]:
        if isinstance(value, dict):
            return [number for inner in value.values() for number in numbers(inner)]
        return [value] if isinstance(value, float) else []

    _, record = tiny_store
    found = numbers([record[key] for key in ("metrics", "baselines", "coverage", "ledger", "times")])
    assert all(map(math.isfinite, found))
