from __future__ import annotations

import pytest

from ritz.tasks.report.material import Material
from ritz.tasks.report.page import render
from ritz.tasks.report.publish import LINKED, links


@pytest.mark.parametrize(
    ("location", "address"),
    [
        ("/store/runs/r 1/report.html", "file:///store/runs/r%201/report.html"),
        ("s3://bucket/store/runs/r/report.html", "s3://bucket/store/runs/r/report.html"),
    ],
)
def test_the_artifact_of_a_run_links_its_pictures_and_holds_none(location: str, address: str) -> None:
    text = links("20260101T000000-darcy-0", location)
    assert text.startswith(f"# 20260101T000000-darcy-0\n\n[{location}]({address})\n")
    assert [line.partition("](")[2] for line in text.splitlines()[4:]] == [f"{address}#{name})" for name in LINKED]
    assert len(text) < 1000
    assert "data:" not in text


def test_the_sections_that_are_linked_are_in_the_report() -> None:
    page = render({"run": "early"}, Material()).decode()
    assert all(f'<section id="{name}">' in page for name in LINKED)
