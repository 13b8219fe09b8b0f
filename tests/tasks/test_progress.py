from __future__ import annotations

import logging

import pytest

from ritz.tasks.driver import progress
from ritz.tasks.driver.progress import Progress, Reporter
from ritz.tasks.stage import artifact_key


def _levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records]


def _progress(record: logging.LogRecord) -> Progress:
    return record.__dict__["progress"]


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "ritz")
    return caplog


def test_the_first_and_the_last_report_are_for_logs_and_all_for_bars(heard: pytest.LogCaptureFixture) -> None:
    report = Reporter("solve", 30, "darcy")
    for done in (0, 10, 20, 30):
        report(done)
    assert _levels(heard) == ["INFO", "DEBUG", "DEBUG", "INFO"]
    assert [_progress(record) for record in heard.records] == [Progress("solve", done, 30) for done in (0, 10, 20, 30)]


def test_a_report_now_and_then_is_for_logs(heard: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    report = Reporter("solve", 30, "darcy")
    report(10)
    report(20)
    assert _levels(heard) == ["INFO", "INFO"]


def test_a_report_says_stage_numbers_and_note(heard: pytest.LogCaptureFixture) -> None:
    report = Reporter("train", 8, "darcy")
    report(3, "loss 0.25")
    report(8)
    assert [record.getMessage() for record in heard.records] == ["train: 3 of 8, loss 0.25", "train: 8 of 8"]
    assert _progress(heard.records[0]) == Progress("train", 3, 8, "loss 0.25")


@pytest.mark.parametrize(("takes", "moved"), [(0.02, [0, 25, 50, 75, 100]), (20.0, [0, 75])])
def test_a_server_that_has_gone_holds_up_a_stage_now_and_then_only(
    takes: float, moved: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, shown = [0.0], list[float]()

    def show(_: object, percent: float) -> None:
        clock[0] += takes
        shown.append(percent)

    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(progress, "in_prefect", lambda: True)
    monkeypatch.setattr(Reporter, "_show", show)
    report = Reporter("solve", 4, "darcy")
    for done in range(5):
        report(done)
        clock[0] += 150
    assert shown == moved


def test_the_key_of_an_artifact_has_only_what_prefect_takes() -> None:
    assert artifact_key("Darcy_2.v1", "solve") == "ritz-darcy-2-v1-solve"
