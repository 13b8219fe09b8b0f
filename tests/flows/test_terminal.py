from __future__ import annotations

import logging
import re
import time

import pytest

from ritz.flows import terminal
from ritz.flows.terminal import watching

log = logging.getLogger("ritz")


def test_the_first_line_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with watching("start: now"):
        assert re.fullmatch(r"\d\d:\d\d:\d\d start: now\n", capsys.readouterr().err)


def test_where_nothing_is_said_for_long_a_line_says_that_the_work_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "QUIET", 0.2)
    before = list(log.filters)
    with watching():
        until = time.monotonic() + 60
        while (said := capsys.readouterr().err) == "" and time.monotonic() < until:
            time.sleep(0.02)
        assert re.match(r"\d\d:\d\d:\d\d work: goes on, for \d+ s in all\n", said)
    assert log.filters == before


def test_what_is_said_keeps_it_quiet_and_so_does_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "QUIET", 30.0)
    with watching():
        log.info("solve: 1 of 2")
        log.debug("not shown")
    assert capsys.readouterr().err.splitlines()[0].endswith("solve: 1 of 2")
    assert capsys.readouterr().err == ""


def test_what_looks_like_markup_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_table([{"run": "a", "error": "expected [bold] before [/x]"}])
    assert "expected [bold] before [/x]" in capsys.readouterr().out
