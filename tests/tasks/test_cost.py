from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from ritz.compute.evaluation.cost import digits, rounded
from ritz.compute.evaluation.matched_record import Matched, Trial
from ritz.storage import models
from ritz.storage.datasets import Dataset
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.measuring.cost_worker import cost
from ritz.tasks.views.card import break_even, card
from tests.tasks.made import unseal

TinyStore = tuple[Path, dict[str, Any]]


def test_a_run_says_what_its_model_cost(tiny_store: TinyStore) -> None:
    store, record = Store(tiny_store[0]), tiny_store[1]
    found = record["cost"]
    ledger = Dataset.open(store, "tiny").at("v1").ledger()
    assert found["training_data"]["solver_seconds"] == pytest.approx(ledger["seconds"].sum())
    assert (found["training_data"]["samples"], found["training_data"]["failed"]) == (160, 0)
    training = models.read_card(store, "tiny")["training"]
    assert found["training"] == {"training_seconds": training["seconds"], "steps": 96, "devices": ["cpu"]}
    # Waiting for samples is not in it.
    assert 0 < training["seconds"] <= training["last_step"] - training["first_step"] + 10 * training["seconds"] / 96
    inference = found["inference"]
    assert (inference["batch"], inference["threads"], inference["device"]) == (32, 1, "cpu")
    assert 0 < inference["seconds_batched"] < inference["seconds"] < 1
    assert set(found["units"]) == {"solver_seconds", "training_seconds", "inference", "solver"}


def test_break_even_is_against_the_fastest_solve_at_the_error_of_the_model(tiny_store: TinyStore) -> None:
    record = tiny_store[1]
    found = record["break_even"]
    assert found["measured"]
    assert found["error"] == record["metrics"]["relative_l2"]["mean"]
    assert found["samples"] == 8
    assert found["fastest"]["error"] <= found["error"]
    spent = record["cost"]["training_data"]["solver_seconds"] + record["cost"]["training"]["training_seconds"]
    assert found["spent"] == pytest.approx(spent)
    for asked, seconds in (("queries", "seconds"), ("queries_batched", "seconds_batched")):
        gain = found["fastest"]["seconds"] - record["cost"]["inference"][seconds]
        assert found[asked] == (None if gain <= 0 else math.ceil(spent / gain))
    # A Darcy problem of 16² is solved in well under a millisecond, and a network is not that quick.
    assert found["queries"] is None
    assert "never pays for itself" in found["sentence"]


def test_a_surrogate_of_a_slow_solver_pays(
    tiny_store: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_store[0], tmp_path / "store")
    store = Store(tmp_path / "store")

    def slow(*_: Any, **__: Any) -> Matched:
        one = Trial(space=1, time=1, rtol=1e-8, solver={}, error=0.1, seconds=10.0, spread=1.0, accurate=True)
        return Matched(error=0.3, samples=8, tried=(), left_out=(), complete=True, fastest=one)

    monkeypatch.setattr("ritz.tasks.measuring.cost_worker.fastest", slow)
    found = cost(store.url, "tiny@v1", "tiny@v1").break_even
    gain = 10.0 - models.read_card(store, "tiny")["cost"]["inference"]["seconds"]
    assert found.queries is not None
    assert found.sentence is not None
    assert found.queries == math.ceil(found.spent / gain)
    worth = f"{rounded(found.queries, digits(found.spread)):,}"
    assert f"has paid for itself after about {worth} queries" in found.sentence
    assert break_even(of_model.card(store, "tiny")) == worth


def test_what_cannot_be_compared_is_said(tiny_store: TinyStore, tmp_path: Path) -> None:
    shutil.copytree(tiny_store[0], tmp_path / "store")
    store = Store(tmp_path / "store")
    elsewhere = (models.read_document(store, "tiny@v1", "evaluation.json") or {}) | {"dataset": "other@v1"}
    models.update(store, "tiny@v1", "evaluation.json", json.dumps(elsewhere).encode())
    found = cost(store.url, "tiny@v1", "tiny@v1").break_even
    assert found.document() == {
        "dataset": "tiny@v1",
        "measured": False,
        "reason": "the model has not been evaluated on tiny@v1",
    }
    assert break_even(of_model.card(store, "tiny")) == "-"


def test_a_card_begins_with_what_one_asks_first_and_names_what_is_missing(
    tiny_store: TinyStore, tmp_path: Path
) -> None:
    whole = card(str(tiny_store[0]), "tiny")
    assert list(whole.entries())[:5] == ["model", "release", "released", "missed", "name"]
    shutil.copytree(tiny_store[0], tmp_path / "store")
    place = tmp_path / "store/models/tiny/v1/card.json"
    unseal(place.parent)
    kept = json.loads(place.read_text())
    place.write_text(json.dumps({name: part for name, part in kept.items() if name not in ("cost", "metrics")}))
    bare = card(str(tmp_path / "store"), "tiny@v1")
    assert bare.cost == bare.metrics == "not measured; see `ritz evaluate`"
    assert bare.calibration == whole.calibration
