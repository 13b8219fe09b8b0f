"""What the pages of a catalogue say and link to, read as a program would."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.tasks.catalogue.conftest import HOSTILE

PAGES = ("index.html", "datasets/tiny/index.html", "datasets/theirs/index.html", "models/tiny/v1/index.html")


class Read(HTMLParser):
    """Elements of a page with their attributes, its texts, and the lines to copy."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.copied: list[str] = []
        self._within: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._within[-1:] == ["pre"]:
            self.copied.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._within.append(f"/{tag}")

    @property
    def ids(self) -> set[str | None]:
        return {attrs["id"] for _, attrs in self.elements if "id" in attrs}

    @property
    def links(self) -> list[str]:
        return [attrs["href"] or "" for tag, attrs in self.elements if tag == "a"]


def test_a_dataset_and_a_model_have_a_page_each(site: Path) -> None:
    found = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    assert found == set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_links_resolve(site: Path, page: str) -> None:
    read = Read(site / page)
    assert read.links
    for link in read.links:
        parts = urlsplit(link)
        if parts.scheme:
            assert link == "https://data.example/darcy"
            continue
        target = (site / page).parent / parts.path if parts.path else site / page
        assert target.is_file(), link
        assert target.resolve().is_relative_to(site.resolve())
        assert not parts.fragment or parts.fragment in Read(target).ids, link


@pytest.mark.parametrize("page", PAGES)
def test_nothing_that_a_recipe_says_becomes_a_part_of_a_page(site: Path, page: str) -> None:
    read = Read(site / page)
    scripts = [attrs for tag, attrs in read.elements if tag == "script"]
    assert scripts == ([{}] if page == "index.html" else [])
    for tag, attrs in read.elements:
        assert not any(name.startswith("on") for name in attrs)
        assert tag not in ("iframe", "object", "embed", "link", "base")
        for name in ("src", "srcset", "action"):
            assert (attrs.get(name) or "data:image/png").startswith("data:image/png")
    policy = next(
        attrs["content"] or "" for tag, attrs in read.elements if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert ("script-src" in policy) == (page == "index.html")


def test_hostile_texts_stand_on_the_page_as_they_are(site: Path) -> None:
    said = "".join(Read(site / "datasets/theirs/index.html").texts)
    for text in (f"# heading\n{HOSTILE}", f"Licence: {HOSTILE}.", "Contact: javascript:pwned=1.", HOSTILE[:90]):
        assert text in said


def test_the_page_of_a_dataset_says_how_it_was_made_and_by_whom_it_is_used(site: Path) -> None:
    said = _said(site / "datasets/tiny/index.html")
    assert "160 samples of the problem darcy (96 train, 16 validate, 24 calibrate, 24 test)" in said
    assert "sample 160, y 16, x 16 float32 1 × 16 × 16 8 × 16 × 16" in said
    assert "(asked: 1e-8); none failed;" in said
    assert "Trained on it." in said
    assert "models/tiny/v1/index.html" in (site / "datasets/tiny/index.html").read_text()
    theirs = _said(site / "datasets/theirs/index.html")
    assert "12 imported samples" in theirs
    assert "no residual is known of them" in theirs


def _said(path: Path) -> str:
    return " ".join(" ".join(Read(path).texts).split())


def test_the_page_of_a_model_has_the_sections_of_a_report(site: Path) -> None:
    read = Read(site / "models/tiny/v1/index.html")
    assert {"use", "lineage", "variables", "samples", "training", "errors", "coverage", "costs", "recipe"} <= read.ids
    assert "../../../datasets/tiny/index.html" in read.links


def test_what_is_copied_from_the_pages_runs(site: Path) -> None:
    ours, plainly = Read(site / "datasets/tiny/index.html").copied[:2]
    model = Read(site / "models/tiny/v1/index.html").copied[0]
    _run(plainly, "import sys\nassert data['u'].shape == (160, 16, 16)\nassert 'ritz' not in sys.modules\n")
    _run(ours, "assert data['u'].shape == (160, 16, 16)\n", model, "assert predicted['u'].shape == (2, 16, 16)\n")


def _run(*parts: str) -> None:
    done = subprocess.run([sys.executable, "-c", "\n".join(parts)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_text_for_language_models_is_one_entry_a_dataset_and_a_model(site: Path) -> None:
    lines = (site / "llms.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert lines[2].startswith("> ")
    entries = [line for line in lines if line.startswith("- ")]
    assert [line.partition("]")[0] for line in entries] == ["- [theirs", "- [tiny", "- [tiny@v1"]
    # Nothing of a description begins a heading, a link or an element.
    assert sum(line.startswith("#") for line in lines) == 5
    assert '\\# heading "\\>\\<script\\>' in entries[0]
    assert "\\]\\(" not in entries[0]
    assert "\\](javascript:" in entries[0]
