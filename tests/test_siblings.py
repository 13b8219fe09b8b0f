"""A kind asks what another one can do, never which one it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

COVERED = tuple(
    f"compute/{room}"
    for room in ("cluster", "evaluation", "problems", "solvers", "surrogates", "training", "uncertainty")
)
"""Rooms of kinds in which no sibling is asked for."""


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the names of classes in the second argument of ``isinstance``."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Tuple):
        for part in node.elts:
            yield from _names(part)
    elif isinstance(node, ast.BinOp):
        yield from _names(node.left)
        yield from _names(node.right)


def siblings(trees: dict[str, ast.Module]) -> set[str]:
    """Return the classes that are choices: kinds with a kind above them that is not `Kind` itself."""
    above = {
        node.name: {name for base in node.bases for name in _names(base)}
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    kinds: set[str] = {"Kind"}
    while more := {name for name, bases in above.items() if bases & kinds} - kinds:
        kinds |= more
    return {name for name in kinds & above.keys() if above[name] & (kinds - {"Kind"})}


def asked(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and class of every question what something is: ``isinstance``, ``type(x) is``, ``case C()``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("isinstance", "issubclass") and len(node.args) == 2:
                yield from ((node.lineno, name) for name in _names(node.args[1]))
        elif isinstance(node, ast.Compare) and isinstance(node.left, ast.Call):
            if ast.unparse(node.left.func) == "type":
                yield from ((node.lineno, name) for other in node.comparators for name in _names(other))
        elif isinstance(node, ast.MatchClass):
            yield from ((node.cls.lineno, name) for name in _names(node.cls))


def ladders(trees: dict[str, ast.Module]) -> list[str]:
    """Return where a sibling is asked for."""
    choices = siblings(trees)
    return [
        f"{path}:{line} asks for {name}"
        for path, tree in trees.items()
        for line, name in sorted(asked(tree))
        if name in choices
    ]


@pytest.mark.parametrize("room", COVERED)
def test_no_kind_asks_for_a_sibling(room: str) -> None:
    trees = {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in sorted((ROOT / room).rglob("*.py"))}
    assert len(siblings(trees)) > 1
    assert not ladders(trees)


def test_a_ladder_is_found() -> None:
    code = """
class Solver(Kind, ABC): ...
class Direct(Solver): ...
class Krylov(Direct): ...
class Operators: ...
def choose(x):
    if isinstance(x, Solver) or isinstance(x, Operators): pass
    if isinstance(x, (int, solvers.Direct)) or isinstance(x, str | Krylov): pass
    if type(x) is Direct: pass
    match x:
        case Krylov(): pass
"""
    assert ladders({"file.py": ast.parse(code)}) == [
        "file.py:8 asks for Direct",
        "file.py:8 asks for Krylov",
        "file.py:9 asks for Direct",
        "file.py:11 asks for Krylov",
    ]
