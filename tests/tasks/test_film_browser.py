"""A film in a real browser: buttons show its frames, by the keyboard too, and one of them plays it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ritz.tasks.report.page import pictures, render
from tests.browser import Page, browsing
from tests.require import require
from tests.tasks.test_over_time import in_space, material

FRAMES = 8

SHIFT = """
(() => {
  const strip = document.querySelector('.strip'), image = strip.querySelector('img');
  return Math.round((strip.getBoundingClientRect().top - image.getBoundingClientRect().top) / strip.clientHeight * 100);
})()
"""
"""How many frames, in hundredths, lie above the one that is shown."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    require("chromium")
    folder: Path = tmp_path_factory.mktemp("film")
    whole = in_space(material(FRAMES, 24))
    (folder / "page.html").write_bytes(render({"run": "one"}, whole, pictures({"run": "one"}, whole)))
    with browsing(folder / "profile") as page:
        page.visit((folder / "page.html").as_uri())
        yield page


def test_it_is_still_at_first_and_arrow_keys_go_through_its_frames(page: Page) -> None:
    strip, image = "document.querySelector('.strip')", "document.querySelector('.strip img')"
    # One frame of eight is seen.
    assert page.evaluate(f"Math.abs({image}.clientHeight / {strip}.clientHeight - {FRAMES}) < 0.1")
    assert page.evaluate(SHIFT) == 0
    page.evaluate("document.querySelector('.reel input:checked').focus()")
    for frame in (1, 2, 3):
        page.press("ArrowRight")
        assert page.evaluate(SHIFT) == pytest.approx(100 * frame, abs=2)
    assert page.evaluate("document.activeElement.title") == page.evaluate(
        "document.querySelectorAll('.reel input')[4].title"
    )
    page.keep("film")


def test_it_plays_frame_by_frame_once_that_is_chosen(page: Page) -> None:
    page.evaluate("document.querySelector('label[for=film-play]').click()")
    seen = set()
    for _ in range(40):
        seen.add(round(page.evaluate(SHIFT) / 100, 1))
        page.evaluate("new Promise(done => setTimeout(done, 100))")
    assert len(seen) >= 4
    assert all(frame == round(frame) for frame in seen)


def test_who_wants_less_motion_has_frames_alone(page: Page) -> None:
    page.prefer("prefers-reduced-motion", "reduce")
    assert page.evaluate("getComputedStyle(document.querySelector('.reel .play')).display") == "none"
    assert page.evaluate("getComputedStyle(document.querySelector('.strip img')).animationName") == "none"
    page.prefer("prefers-reduced-motion", "no-preference")
    assert page.evaluate("getComputedStyle(document.querySelector('.strip img')).animationName") == "film"
