from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from ritz.storage import runs
from ritz.storage.errors import Unknown
from ritz.storage.store import Store
from ritz.tasks.documents.records import VANISHED, recorded
from ritz.tasks.documents.run import RunRecord


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def begun(run: str, name: str = "tiny") -> dict[str, Any]:
    return {"run": run, "status": "running", "identity": "one", "recipe": {"name": name}, "paths": {"store": "here"}}


def record(run: str) -> RunRecord:
    return RunRecord.model_validate(begun(run) | {"created": "2026-01-01T00:00:00+00:00"})


def test_a_run_is_seen_while_it_is_going_on(store: Store) -> None:
    with recorded(store, record("a")):
        assert runs.load(store, "a").items() >= begun("a").items()
        runs.save(store, "a", begun("a") | {"status": "finished"})
    assert runs.load(store, "a")["status"] == "finished"


def test_a_finished_run_stays_so_whatever_comes_after(store: Store) -> None:
    def finish_and_stop() -> None:
        runs.save(store, "a", begun("a") | {"status": "finished"})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), recorded(store, record("a")):
        finish_and_stop()
    assert runs.load(store, "a")["status"] == "finished"


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ValueError("no such thing\nand much more"), "failed", "ValueError: no such thing"),
        (Unknown("dataset 'x': not there"), "failed", "Unknown: dataset 'x': not there"),
        (KeyError("x"), "failed", "KeyError: 'x'"),
        (RuntimeError(), "failed", "RuntimeError"),
        (KeyboardInterrupt(), "interrupted", "stopped from outside (KeyboardInterrupt)"),
        (SystemExit(3), "interrupted", "stopped from outside (SystemExit)"),
    ],
    ids=repr,
)
def test_a_run_that_does_not_finish_leaves_its_reason_in_one_line(
    store: Store, error: BaseException, status: str, reason: str
) -> None:
    with pytest.raises(type(error)), recorded(store, record("a")):
        raise error
    found = runs.load(store, "a")
    assert found.items() >= (begun("a") | {"status": status, "error": reason}).items()


def test_a_driver_that_is_gone_is_said_to_have_failed_by_the_next_of_its_recipe(store: Store) -> None:
    for run, name in (("gone", "tiny"), ("other", "small")):
        runs.save(store, run, begun(run, name))
    runs.save(store, "done", begun("done") | {"status": "finished"})
    with recorded(store, record("next")):
        status = {one["run"]: (one["status"], one.get("error")) for one in runs.look(store).good}
    assert status == {
        "gone": ("failed", VANISHED),
        "other": ("running", None),
        "done": ("finished", None),
        "next": ("running", None),
    }


def test_what_ended_a_run_is_not_hidden_by_a_store_that_is_gone(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def lose_the_store() -> None:
        runs = Path(store.location("runs"))
        runs.rename(runs.with_name("elsewhere"))
        runs.write_text("in the way")
        raise KeyError("the cause")

    caplog.set_level(logging.WARNING, "ritz")
    with pytest.raises(KeyError, match="the cause"), recorded(store, record("a")):
        lose_the_store()
    assert "run a: its record could not be updated: cannot" in caplog.text
