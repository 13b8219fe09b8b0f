"""No file of the rooms imports itself by way of others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.rooms import ROOMS

ROOT = Path(__file__).parents[1]


def _imports(path: Path, packages: dict[str, Path]) -> Iterator[Path]:
    """Yield the files that are imported when a file is: what stands at its top, classes and conditions included."""
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (packages[alias.name] for alias in node.names if alias.name in packages)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            # A name is a file of the package, or something in its package file.
            yield from (
                packages[name if name in packages else node.module] for name in inside if node.module in packages
            )
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not _for_types(node):
            todo += ast.iter_child_nodes(node)


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def graph(root: Path, rooms: tuple[str, ...]) -> dict[Path, set[Path]]:
    """Return which files are imported by each file of the rooms."""
    files = [root / "ritz" / "__init__.py", *(path for room in rooms for path in (root / room).rglob("*.py"))]
    packages: dict[str, Path] = {}
    for path in files:
        parts = path.relative_to(root).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        packages[".".join(parts if parts[0] == "ritz" else ("ritz", *parts))] = path
    return {path: set(_imports(path, packages)) - {path} for path in files}


def cycle(imports: dict[Path, set[Path]]) -> list[Path]:
    """Return the files of one cycle in their order, none if there is none."""
    done: set[Path] = set()

    def look(path: Path, way: list[Path]) -> list[Path]:
        if path in way:
            return way[way.index(path) :]
        if path in done:
            return []
        for other in sorted(imports[path]):
            if found := look(other, [*way, path]):
                return found
        done.add(path)
        return []

    return next((found for path in sorted(imports) if (found := look(path, []))), [])


def test_no_file_imports_itself_by_way_of_others() -> None:
    imports = graph(ROOT, ROOMS)
    assert len(imports) > 300
    assert sum(map(len, imports.values())) > 1000
    found = [str(path.relative_to(ROOT)) for path in cycle(imports)]
    assert not found, f"these files import each other in a circle: {' → '.join([*found, *found[:1]])}"


def test_a_circle_is_found_and_named(tmp_path: Path) -> None:
    (tmp_path / "compute" / "inner").mkdir(parents=True)
    files = {
        "compute/a.py": "import os\nif os.name:\n    from ritz.compute.inner import b",
        "compute/inner/__init__.py": "",
        "compute/inner/b.py": "class B:\n    from ritz.compute.inner.c import C",
        "compute/inner/c.py": "import ritz.compute.a\n",
        "compute/d.py": "def later():\n    import ritz.compute.e",
        "compute/e.py": "import ritz.compute.d",
        "ritz/__init__.py": "",
    }
    (tmp_path / "ritz").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = cycle(graph(tmp_path, ("compute",)))
    assert [path.stem for path in found] == ["a", "b", "c"]
    (tmp_path / "compute" / "inner" / "c.py").write_text("")
    assert cycle(graph(tmp_path, ("compute",))) == []
