"""People who do not see a page, or not well, can read the catalogue and the report: axe-core finds no serious fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import axe
from tests.browser import Page, browsing
from tests.require import require
from tests.tasks.catalogue.test_pages import PAGES


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    require("axe")
    with browsing(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_catalogue_has_no_serious_fault(page: Page, site: Path, theme: str) -> None:
    page.theme(theme)
    for address in PAGES:
        page.visit((site / address).as_uri())
        assert axe.faults(page) == [], address


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_report_has_no_serious_fault(page: Page, tiny_store: tuple[Path, dict[str, Any]], theme: str) -> None:
    page.theme(theme)
    page.visit(Path(tiny_store[1]["paths"]["report"]).as_uri())
    assert axe.faults(page) == []


def test_a_serious_fault_is_found(page: Page, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text("<!DOCTYPE html><html><title>bad</title><p style='color:#ddd'>text</p></html>")
    page.visit((tmp_path / "bad.html").as_uri())
    assert {one["rule"] for one in axe.faults(page)} == {"color-contrast", "html-has-lang"}
