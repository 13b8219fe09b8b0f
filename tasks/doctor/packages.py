"""Python and the packages, beside what Ritz asks for and what it is tested with."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from ritz.tasks.doctor.finding import Finding

ROOT = Path(__file__).resolve().parents[2]
"""Of a checkout, which has the lists of tested releases; a wheel has none."""

SHOWN = 4
"""Packages that a line names."""


def python() -> Iterator[Finding]:
    """Look at the version of Python, and whether it runs in an environment of its own."""
    asked = metadata("ritz")["Requires-Python"]
    said = f"{platform.python_version()} at {sys.executable} (expected {asked})"
    if platform.python_version() not in SpecifierSet(asked, prereleases=True):
        yield Finding(subject="python", state="fail", said=said, todo="make an environment with such a Python")
    else:
        yield Finding(subject="python", state="ok", said=said)


def packages() -> Iterator[Finding]:
    """Look at what is installed, beside the requirements of Ritz and the releases that it is tested with."""
    asked = [Requirement(line) for line in requires("ritz") or ()]
    wrong = [fault for one in asked if _is_asked(one) and (fault := _fault(one))]
    if wrong:
        todo = "`make run` in a checkout, or pip install --upgrade ritz"
        yield Finding(subject="packages", state="fail", said=_listed(wrong), todo=todo)
    else:
        yield Finding(subject="packages", state="ok", said=f"ritz {version('ritz')} and all that it requires")
    other = [fault for one in _tested() if (fault := _fault(one)) and not fault.startswith("no ")]
    if other:
        todo = "nothing, where all works; `make run` in a new checkout installs the tested ones"
        yield Finding(subject="releases", state="warn", said=f"not as tested: {_listed(other)}", todo=todo)


def _is_asked(one: Requirement) -> bool:
    return one.marker is None or one.marker.evaluate({"extra": ""})


def _tested() -> Iterator[Requirement]:
    for file in (ROOT / "versions.txt", ROOT / "constraints.txt"):
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        yield from (one for line in lines if line and line[0] != "#" and _is_asked(one := Requirement(line)))


def _fault(one: Requirement) -> str:
    """Return what is wrong about a package, empty where nothing is."""
    try:
        there = version(one.name)
    except PackageNotFoundError:
        return f"no {one.name}{one.specifier}"
    return "" if one.specifier.contains(there, prereleases=True) else f"{one.name} {there} (expected {one.specifier})"


def _listed(faults: list[str]) -> str:
    more = f", and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return f"{', '.join(faults[:SHOWN])}{more}"
