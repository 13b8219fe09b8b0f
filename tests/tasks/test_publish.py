from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ritz.tasks.report.material import Material
from ritz.tasks.report.page import render
from ritz.tasks.report.publish import LINKED, PIXELS, links, picture


@pytest.mark.parametrize(
    ("location", "address"),
    [
        ("/store/runs/r 1/report.html", "file:///store/runs/r%201/report.html"),
        ("s3://bucket/store/runs/r/report.html", "s3://bucket/store/runs/r/report.html"),
    ],
)
def test_the_artifact_of_a_run_links_its_pictures_and_holds_none_of_them(location: str, address: str) -> None:
    text = links("20260101T000000-darcy-0", location)
    assert text.startswith(f"# 20260101T000000-darcy-0\n\n[{location}]({address})\n")
    assert [line.partition("](")[2] for line in text.splitlines()[4:]] == [f"{address}#{name})" for name in LINKED]
    assert len(text) < 1000
    assert "data:" not in text


def test_a_small_copy_of_the_first_picture_goes_with_the_links(tiny_store: tuple[Path, dict[str, Any]]) -> None:
    store, record = tiny_store
    text = picture((store / "runs" / record["run"] / "report.html").read_bytes())
    assert text.startswith("\n\n![The first picture of the report](data:image/png;base64,")
    image = Image.open(io.BytesIO(base64.b64decode(text.partition("base64,")[2].removesuffix(")"))))
    assert max(image.size) == PIXELS
    assert len(text) < 30_000
    assert picture(b"<p>none</p>") == ""


def test_the_sections_that_are_linked_are_in_the_report() -> None:
    page = render({"run": "early"}, Material()).decode()
    assert all(f'<section id="{name}">' in page for name in LINKED)
