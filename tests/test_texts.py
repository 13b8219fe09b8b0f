"""Rules for texts that a test can check: rates, the field's terms, links and pictures."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from ritz.flows.cli import app
from tests.rooms import ROOMS

ROOT = Path(__file__).parents[1]

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks" / "README.md"])

TEMPLATES = sorted([*(ROOT / "tasks").rglob("*.jinja"), *(ROOT / "deployments").rglob("*.yaml")])

MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

RATE = re.compile(
    r"\b(s|ms|seconds?|minutes?|numbers?|times?|one|once|batches|shards|samples|simulations|predictions|iterations|chunks?"
    r"|files?|bytes|points|MB|GB)\s+an?\s+(gradient\s+)?(second|minute|shard|step|sample|batch|simulation|prediction|query"
    r"|solve|commit|system|field|seed|stage|process|core|recipe|axis)\b(?! time)"
)
"""A rate without "per": "ms a shard"."""

HOMELY = re.compile(r"\b(meetings?|tickets?|lanes?|whoever)\b", re.IGNORECASE)
"""Words for which the field has terms: rendezvous, queue, a process or user that can be named."""

CLAUSE = re.compile(r"(?:^|(?<=[.!] ))(?:Who|Whoever)\b[^?.]*\.", re.MULTILINE)
"""A sentence whose subject is a clause: "Who reads it sees …"."""

TERMS = ("compute/cluster", "storage")
"""Packages whose texts use the field's terms throughout."""


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def texts(path: Path) -> Iterator[str]:
    """Yield the docstrings and messages of a module: its string literals of more than one word, f-strings as wholes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "5 s" for part in node.values)


def helps(command: Any) -> Iterator[str]:
    """Yield the help texts of a command, of its parameters and of the commands in it."""
    yield command.help or ""
    yield from (getattr(parameter, "help", None) or "" for parameter in command.params)
    for inner in getattr(command, "commands", {}).values():
        yield from helps(inner)


def found(pattern: re.Pattern[str], text: str) -> list[str]:
    return [match.group() for match in pattern.finditer(text)]


@pytest.mark.parametrize("path", [*PAGES, *TEMPLATES], ids=_name)
def test_rates_of_pages_have_a_per(path: Path) -> None:
    assert not found(RATE, path.read_text(encoding="utf-8"))


def test_rates_of_modules_have_a_per() -> None:
    assert not {_name(path): bad for path in MODULES if (bad := [one for t in texts(path) for one in found(RATE, t)])}


def test_the_rules_see_what_they_forbid(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text('said = f"{duration} a step"')
    assert [one for text in texts(tmp_path / "module.py") for one in found(RATE, text)] == ["s a step"]
    assert found(RATE, "takes 8 ms a shard, and 20 times a second") == ["ms a shard", "times a second"]
    assert found(RATE, "5 s a gradient step on 4 points an axis") == ["s a gradient step", "points an axis"]
    assert not found(RATE, "solves a sample a second time; 8 ms per shard")
    assert found(HOMELY, "a full lane, the Ticket") == ["lane", "Ticket"]
    assert found(CLAUSE, "It is small. Whoever reads it sees more.") == ["Whoever reads it sees more."]
    assert not found(CLAUSE, "Who needs it?")


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_pages_use_the_field_s_terms(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not found(HOMELY, text)
    assert not found(CLAUSE, text)


@pytest.mark.parametrize("package", TERMS)
def test_packages_use_the_field_s_terms(package: str) -> None:
    modules = [path for path in MODULES if _name(path).startswith(f"{package}/")]
    assert len(modules) > 10
    assert not {_name(path): bad for path in modules if (bad := [one for t in texts(path) for one in found(HOMELY, t)])}


def test_help_texts_follow_the_rules() -> None:
    shown = [*helps(typer.main.get_command(app))]
    assert len([text for text in shown if text]) > 80
    assert not [bad for text in shown for rule in (RATE, HOMELY, CLAUSE) for bad in found(rule, text)]


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_relative_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8"))
    assert not [link for link in links if "://" not in link and not (path.parent / link).exists()]


def test_every_reference_page_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in ROOT.glob("docs/*.md") if f"](docs/{page.name})" not in readme]


def test_the_readme_goes_from_the_picture_to_the_links() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    titles = re.findall(r"^## (.*)$", readme, re.MULTILINE)
    assert titles == [
        "Two commands", "Five-minute tour", "Your own PDE", "Read the data", "Run on a cluster", "Links",
    ]  # fmt: skip
    assert readme.index("](docs/pipeline.svg)") < readme.index("## Two commands")


def test_pictures_are_light_and_the_drawn_one_is_up_to_date() -> None:
    script = ROOT / "docs" / "pipeline.py"
    spec = importlib.util.spec_from_file_location("pipeline_picture", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.picture() == (ROOT / "docs" / "pipeline.svg").read_text(encoding="utf-8")
    pictures = [path for path in (ROOT / "docs").iterdir() if path.suffix in (".svg", ".png", ".webp")]
    assert {path.name for path in pictures} == {"overhead.svg", "pipeline.svg", "report.webp"}
    assert all(path.stat().st_size < 200_000 for path in pictures)


def test_the_changelog_is_short_and_says_how_to_migrate() -> None:
    unreleased, _, migration = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\nMigration")
    assert 10 <= len(re.findall(r"^- \*\*", unreleased, re.MULTILINE)) <= 16
    assert migration
