from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.plain_yaml import LARGEST, parse, read


def _levels(depth: int, repeated: str) -> str:
    names = [f"k{level}" for level in range(depth)]
    lines = [f"{names[0]}: &{names[0]} {{x: 1}}"]
    lines += [f"{new}: &{new} {repeated.format(','.join([f'*{old}'] * 10))}" for old, new in pairwise(names)]
    return "\n".join(lines)


BOUNDED = {
    "aliases": (_levels(30, "[{}]"), "more than 10000 values"),
    "merge keys": (_levels(30, "{{<<: [{}]}}"), "more than 10000 values"),
    "an alias of itself": ("a: &a [*a]", "the alias 'a' is inside of what it repeats"),
    "an alias of itself in a mapping": ("&a {b: {c: *a}}", "inside of what it repeats"),
    "lists": ("[" * 30_000, "more than 20 deep"),
    "mappings": ("{a: " * 10_000, "more than 20 deep"),
    "blocks": ("".join(f"{' ' * level}a:\n" for level in range(300)), "more than 20 deep"),
    "dashes": ("- " * 30_000 + "x", "more than 20 deep"),
    "decimal digits": ("a: " + "9" * 6000, "a number has 6000 characters"),
    "hexadecimal digits": ("a: 0x" + "f" * 6000, "a number has 6002 characters"),
    "sexagesimal digits": ("a: 1" + ":1" * 6000, "a number has 12001 characters"),
    "length": ("a: " + "x" * LARGEST, f"more than {LARGEST} characters"),
    "values": ("[" + "1," * 20_000 + "]", "more than 10000 values"),
    "a key": ("? " + "x" * 30_000 + "\n: 1\n? " + "x" * 30_000 + "\n: 1", "is given twice, before in line 1, line 3"),
    "a key that is given twice": (
        "a: 1\nb: {c: 1, c: 2}",
        "the key 'c' is given twice, before in line 2, line 2, column 11",
    ),
    "a key of a merged mapping": ("{<<: {a: 1, a: 2}}", "the key 'a' is given twice"),
    "no number": ("a: 0x_", "'0x_' is no int, line 1, column 4"),
    "no truth": ("!!bool maybe", "'maybe' is no bool"),
    "nothing to merge": ("<<: 3", "expected a mapping, or a list of mappings, to merge"),
    "a set": ("a: !!set {b}", "could not determine a constructor for the tag 'tag:yaml.org,2002:set'"),
    "code": ("!!python/object/apply:os.system [ls]", "recipes hold plain values"),
    "a long tag": ("!" + "x" * 30_000 + " 1", "could not determine a constructor"),
    "two documents": ("a: 1\n---\nb: 2", "but found another document"),
    "a tab": ("a:\n\tb: 1", "indent with spaces"),
}


@pytest.mark.parametrize("case", BOUNDED)
def test_a_text_is_refused_shortly_and_soon(case: str) -> None:
    text, said = BOUNDED[case]
    start = time.process_time()
    with pytest.raises(RecipeError) as caught:
        parse(text, "recipe 'own.yaml'")
    assert said in str(caught.value)
    assert str(caught.value).startswith("recipe 'own.yaml'")
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        (
            "a: &x {b: 1}\nc: &y {<<: *x, b: 2}\nd: {<<: *y, e: 3}",
            {"a": {"b": 1}, "c": {"b": 2}, "d": {"b": 2, "e": 3}},
        ),
        (
            "a: &x {b: 1}\nc: &y {b: 2, d: 2}\ne: {<<: [*x, *y]}",
            {"a": {"b": 1}, "c": {"b": 2, "d": 2}, "e": {"b": 1, "d": 2}},
        ),
        ("name: 2026-01-31", {"name": "2026-01-31"}),
        ("name: 2026-99-99", {"name": "2026-99-99"}),
        ("a: !!str 3", {"a": "3"}),
        ("a: 06:00:00", {"a": "06:00:00"}),
        ("", None),
    ],
)
def test_plain_values_are_read(text: str, value: Any) -> None:
    assert parse(text, "text") == value


@pytest.mark.parametrize(
    "data",
    [
        b"name: x\r\nseed: 1\r\n",
        b"\xef\xbb\xbfname: x\nseed: 1",
        "name: x\nseed: 1".encode("utf-16"),
        b"name: x\rseed: 1",
    ],
)
def test_files_of_other_systems_are_read(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_bytes(data)
    assert read(tmp_path / "own.yaml", "recipe") == {"name": "x", "seed": 1}


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "large.yaml").write_bytes(b"a: 1\n" * 10**6)
    (tmp_path / "latin.yaml").write_bytes(b"name: x\nseed: \xe4")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    for name, said in (
        ("pipe", "it is a pipe"),
        ("zero", "it is a device"),
        ("folder", "it is a folder"),
        ("large", f"is larger than {LARGEST} bytes"),
        ("latin", "byte 0xe4 in line 2 is no text in UTF-8"),
        ("nobody", "no such file"),
        ("loop", "cannot be read: Too many levels of symbolic links"),
        ("x" * 5000, "cannot be read: File name too long"),
    ):
        with pytest.raises(RecipeError) as caught:
            read(tmp_path / f"{name}.yaml", "recipe 'own'")
        assert said in str(caught.value)
        assert len(str(caught.value)) < 200
