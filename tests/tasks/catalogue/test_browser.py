"""The catalogue in a real browser, opened from its folder: it asks for nothing else, and the search works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Page, browsing
from tests.require import require
from tests.tasks.catalogue.test_pages import PAGES

SHOWN = "[...document.querySelectorAll('tr[data-text]')].filter(row => !row.hidden).map(row => row.cells[0].innerText)"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    require("chromium")
    with browsing(tmp_path_factory.mktemp("chromium")) as page:
        page.watch()
        yield page


@pytest.mark.parametrize("address", PAGES)
def test_a_page_loads_nothing_but_itself(page: Page, site: Path, address: str) -> None:
    page.requests.clear()
    for theme in ("light", "dark"):
        page.theme(theme)
        page.visit((site / address).as_uri())
        page.keep(f"catalogue-{address.replace('/', '-')}-{theme}")
    assert set(page.requests) == {(site / address).as_uri()}
    assert page.evaluate("typeof pwned") == "undefined"
    # All pictures are there, and nothing is wider than the window.
    assert page.evaluate("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_every_link_between_pages_can_be_followed(page: Page, site: Path) -> None:
    page.visit((site / "index.html").as_uri())
    page.evaluate("document.querySelector('#models a').click()")
    page.until("document.title == 'tiny@v1 – Model' && document.readyState == 'complete'")
    page.evaluate("document.querySelector('#lineage a').click()")
    page.until("document.title == 'tiny@v1 – Dataset' && document.readyState == 'complete'")
    page.evaluate("document.querySelector('.kicker a').click()")
    page.until("document.title.endsWith('Ritz catalogue')")


def test_search_and_filters_work_by_the_keyboard(page: Page, site: Path) -> None:
    page.visit((site / "index.html").as_uri())
    assert page.evaluate(SHOWN) == ["theirs@v1", "tiny@v1", "tiny@v1"]
    page.evaluate("document.querySelector('a[href=\"llms.txt\"]').focus()")
    page.press("Tab")
    assert page.evaluate("document.activeElement.id") == "words"
    page.type("FNO darcy")
    assert page.evaluate(SHOWN) == ["tiny@v1"]
    # What a screen reader says.
    assert page.evaluate("document.querySelector('[role=status]').innerText") == "1 of 3 shown"
    page.press("Tab")
    page.press("Tab")
    assert page.evaluate("document.activeElement.name") == "released"
    page.press(" ")
    assert page.evaluate(SHOWN) == []
    page.press("Tab")
    page.press(" ")
    page.until(f"{SHOWN}.length == 3")
    page.evaluate("document.getElementById('problem').focus()")
    page.press("End")
    assert page.evaluate("document.getElementById('problem').value") == "external"
    assert page.evaluate(SHOWN) == ["theirs@v1"]
