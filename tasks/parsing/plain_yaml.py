"""YAML as recipes use it: plain values, bounded in time and memory, nothing said twice."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ritz.storage.wording import cut, shown
from ritz.tasks.errors import RecipeError

LARGEST = 64 * 1024
"""Bytes of the largest text; a long recipe has two thousand."""

DEEPEST = 20
"""Levels of lists and mappings inside each other; a recipe with everything in it has six."""

MOST = 10_000
"""Values in all, those counted again that an alias repeats."""

_MERGE = "tag:yaml.org,2002:merge"

_LONGEST_NUMBER = 400
"""Characters of a number: the digits of the largest that double precision holds, and their signs."""


def read(path: Path, what: str) -> Any:
    """Return what a YAML file holds.

    Parameters
    ----------
    what
        What it is, for the message: ``"recipe 'own.yaml'"``.

    Raises
    ------
    RecipeError
        It is not there, no regular file (a pipe or a device might never end), too large, or not as `parse` takes it.
    """
    data = b""
    try:
        # Without waiting: to open a pipe takes as long as nobody writes to it.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode):
                data = file.read(LARGEST + 1)
    except IsADirectoryError:
        mode = stat.S_IFDIR
    except FileNotFoundError:
        raise RecipeError(f"{what}: no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else cut(str(error))
        raise RecipeError(f"{what}: cannot be read: {reason}") from None
    if stat.S_ISREG(mode):
        return parse(_text(data, what), what)
    if stat.S_ISDIR(mode):
        inside = sorted(one.name for one in path.iterdir() if one.suffix in (".yaml", ".yml"))
        names = f"it has {cut(', '.join(inside))}" if inside else "it has none"
        raise RecipeError(f"{what}: no such file: it is a folder; expected the path of a YAML file, {names}")
    kind = "pipe" if stat.S_ISFIFO(mode) else "device"
    raise RecipeError(f"{what}: no such file: it is a {kind}; expected the path of a YAML file")


def parse(text: str, what: str) -> Any:
    """Return what a YAML text says: mappings, lists, text, numbers, true, false and null.

    Aliases and merge keys work as long as what they repeat is small. A key that is given twice, a tag for anything but
    plain values, and a text that is too large or too deep are refused. A date is text.

    Raises
    ------
    RecipeError
        It is no such YAML; the message has the place.
    """
    if len(text) > LARGEST:
        raise RecipeError(f"{what}: has more than {LARGEST} characters; expected a few thousand")
    try:
        return yaml.load(text, _Plain)
    except yaml.YAMLError as error:
        raise RecipeError(f"{what} is not YAML: {_place(error)}") from None


def check_bounds(value: Any, what: str) -> None:
    """Refuse a value that is too deep or has too many parts, wherever it came from.

    Raises
    ------
    RecipeError
        It is.
    """
    level, count = [value], 0
    for _ in range(DEEPEST + 1):
        count += len(level)
        if count > MOST:
            raise RecipeError(f"{what}: has more than {MOST} values; expected a few")
        level = [part for one in level for part in _parts(one)]
        if not level:
            return
    raise RecipeError(f"{what}: has lists or mappings more than {DEEPEST} deep; got {shown(value)}")


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [*value, *value.values()][: MOST + 1]
    return list(value[: MOST + 1]) if isinstance(value, list | tuple) else []


def _text(data: bytes, what: str) -> str:
    if len(data) > LARGEST:
        raise RecipeError(f"{what}: is larger than {LARGEST} bytes; expected a few thousand")
    # What Windows calls Unicode.
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RecipeError(
            f"{what} is not YAML: byte 0x{data[error.start]:02x} in line {line} is no text in UTF-8; save it as UTF-8"
        ) from None


def _place(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        problem, mark = cut(str(error.problem)), error.problem_mark
        hint = "; indent with spaces" if "'\\t'" in problem else ""
        return f"{problem}, line {mark.line + 1}, column {mark.column + 1}{hint}"
    # Characters that no text has.
    return cut(str(error).replace("\n", " "))


class _Plain(yaml.SafeLoader):
    """PyYAML's own loader with bounds."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._size: dict[int, int] = {}
        self._count = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """Compose a node; see `yaml.composer.Composer`."""
        event = self.peek_event()
        self._depth += 1
        if self._depth > DEEPEST:
            raise _Refused(f"lists or mappings are more than {DEEPEST} deep", event.start_mark)
        before = self._count
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._size:
                raise _Refused(f"the alias {shown(event.anchor)} is inside of what it repeats", event.start_mark)
            self._count += self._size[id(node)]
        else:
            self._count += 1
            self._size[id(node)] = self._count - before
        if self._count > MOST:
            raise _Refused(f"there are more than {MOST} values, with those that aliases repeat", event.start_mark)
        return node

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        """Compose a mapping of keys that are given once; see `yaml.composer.Composer`."""
        node: MappingNode = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, ScalarNode):
                line = key.start_mark.line + 1
                if key.value in lines:
                    raise _Refused(
                        f"the key {shown(key.value)} is given twice, before in line {lines[key.value]}", key.start_mark
                    )
                lines[key.value] = line
        return node

    def flatten_mapping(self, node: MappingNode) -> None:
        """Take in what is merged, where a key of the mapping's own or of an earlier one does not say otherwise.

        PyYAML's own takes the older value of a key that a merged mapping has replaced itself.
        """
        pairs = [(key, value) for key, value in node.value if key.tag != _MERGE]
        names = {key.value for key, _ in pairs if isinstance(key, ScalarNode)}
        for _, value in (pair for pair in node.value if pair[0].tag == _MERGE):
            for merged in value.value if isinstance(value, SequenceNode) else [value]:
                if not isinstance(merged, MappingNode):
                    raise _Refused("expected a mapping, or a list of mappings, to merge", merged.start_mark)
                self.flatten_mapping(merged)
                for key, inner in merged.value:
                    if not isinstance(key, ScalarNode) or key.value not in names:
                        pairs.append((key, inner))
                names |= {key.value for key, _ in merged.value if isinstance(key, ScalarNode)}
        node.value = pairs

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        """Build a value; see `yaml.constructor.BaseConstructor`."""
        number = node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
        if number and isinstance(node, ScalarNode) and len(node.value) > _LONGEST_NUMBER:
            raise _Refused(
                f"a number has {len(node.value)} characters, expected at most {_LONGEST_NUMBER}", node.start_mark
            )
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, TypeError, OverflowError):
            value = shown(node.value) if isinstance(node, ScalarNode) else "a list or mapping"
            raise _Refused(f"{value} is no {node.tag.rpartition(':')[2]}", node.start_mark) from None


class _Refused(ConstructorError):
    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(None, None, problem, mark)


def _no_constructor(loader: _Plain, node: Node) -> Any:
    del loader
    raise _Refused(
        f"could not determine a constructor for the tag {shown(node.tag)}: recipes hold plain values", node.start_mark
    )


_TAGS = ("null", "bool", "int", "float", "str", "seq", "map")
_Plain.yaml_constructors = {
    **{f"tag:yaml.org,2002:{tag}": yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{tag}"] for tag in _TAGS},
    None: _no_constructor,
}
# A date stays the text that it is: a recipe has names, and no dates.
_Plain.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
