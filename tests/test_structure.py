"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rooms import ROOMS

ROOT = Path(__file__).parents[1]

MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_rooms_are_found() -> None:
    assert {_name(path).split("/")[0] for path in MODULES} == set(ROOMS)
    assert len(MODULES) > 60


DOORS = {"compute/solvers/krylov/__init__.py", "compute/solvers/operators/__init__.py"}
"""Packages that are used as one module, like a library's: their package files import what is public, and no more."""


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=_name)
def test_package_files_are_empty_or_doors(path: Path) -> None:
    if _name(path) not in DOORS:
        assert path.read_text() == ""
        return
    about, *imports, names = ast.parse(path.read_text()).body
    assert isinstance(about, ast.Expr)
    assert all(isinstance(node, ast.ImportFrom) for node in imports)
    assert isinstance(names, ast.Assign)
    assert ast.unparse(names.targets[0]) == "__all__"


def test_every_package_is_installed() -> None:
    folders = {_name(path.parent).replace("/", ".") for path in MODULES}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == {"ritz", *(f"ritz.{folder}" for folder in folders)}
    assert all((ROOT / folder.replace(".", "/") / "__init__.py").exists() for folder in folders)


def _public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Yield public classes, functions and methods; a property's setter and an overload speak through the first."""
    for node in body:
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from _public(node.body, f"{node.name}.")


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "__init__.py"], ids=_name)
def test_everything_public_is_documented(path: Path) -> None:
    silent = [name for name, node in _public(ast.parse(path.read_text()).body) if not ast.get_docstring(node)]
    assert not silent


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_file_has_a_name_that_says_its_subject(path: Path) -> None:
    assert not {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"} & {path.stem, *path.parts}


def test_the_import_name_leads_to_the_rooms() -> None:
    links = {path.name: path.readlink() for path in (ROOT / "ritz").iterdir() if path.is_symlink()}
    assert links == {room: Path("..") / room for room in ROOMS}
    assert (ROOT / "ritz" / "py.typed").exists()
    banned = PROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert set(banned) == set(ROOMS)


def test_the_arrows_between_the_rooms_are_checked() -> None:
    tool = PROJECT["tool"]["importlinter"]
    assert tool["root_packages"] == ["ritz"]
    assert tool["include_external_packages"]
    contracts = tool["contracts"]
    rooms, inside = (contract for contract in contracts if contract["type"] == "layers")
    assert rooms["layers"] == ["deployments", "flows", "tasks", "compute | storage"]
    packages = {path.parent.name for path in (ROOT / "compute").glob("*/__init__.py")} | {"kind"}
    assert {name for layer in inside["layers"] for name in layer.split(" : ")} == packages
    kept_from = {
        (source, module)
        for contract in contracts
        if contract["type"] == "forbidden"
        for source in contract["source_modules"]
        for module in contract["forbidden_modules"]
    }
    workers = {_name(path).removesuffix(".py").replace("/", ".") for path in MODULES if path.stem.endswith("worker")}
    assert len(workers) >= 10
    assert {(f"ritz.{module}", "prefect") for module in ("compute", "storage", *workers)} <= kept_from
    assert {(f"ritz.{room}", "distributed") for room in ("storage", "tasks", "flows", "compute.solvers")} <= kept_from
    assert ("ritz.compute.cluster", "distributed") not in kept_from
    assert {(f"ritz.{room}", "zarr") for room in ("compute", "tasks", "flows")} <= kept_from


def test_the_linters_are_part_of_the_tests() -> None:
    recipe = (ROOT / "Makefile").read_text()
    assert "\ntest: lint\n" in recipe
    for command in ("ruff check .", "ruff format --check .", "mypy", "lint-imports"):
        assert f"$(BIN)/{command}\n" in recipe


def test_warnings_are_errors() -> None:
    assert PROJECT["tool"]["pytest"]["ini_options"]["filterwarnings"][0] == "error"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_an_error_of_types_that_is_left_has_its_reason(path: Path) -> None:
    ignores = [line for line in path.read_text(encoding="utf-8").splitlines() if "# type: ignore" in line]
    assert [line for line in ignores if not re.search(r"# type: ignore\[[a-z, -]+\]  # \S", line)] == []
