from __future__ import annotations

import os
import time

import pytest

from ritz.storage import runs
from ritz.storage.documents import DEEPEST, LARGEST, mapping, parsed
from ritz.storage.errors import StorageError
from ritz.storage.store import Store
from ritz.storage.wording import cut, meant, nearest, shown


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[" * 1_000_000, "50 deep"),
        (b'{"a":' * 60 + b"1" + b"}" * 60, "50 deep"),
        (b"9" * 100_000, "more digits than Python reads"),
        (b'"\xff"', "codec"),
        (b"", "Expecting value"),
        (b'{"a": 1', "delimiter"),
        (b"[1]", "holds a list; expected a mapping"),
    ],
)
def test_a_document_that_is_none_is_one_short_message(data: bytes, said: str) -> None:
    with pytest.raises(StorageError, match=said) as caught:
        mapping(data, "runs/one/record.json")
    assert str(caught.value).startswith("runs/one/record.json: is damaged: ")
    assert len(str(caught.value)) < 400


def test_a_document_may_be_as_deep_as_the_bound() -> None:
    found, depth = parsed(b"[" * DEEPEST + b"]" * DEEPEST, "here"), 0
    while found:
        (found,), depth = found, depth + 1
    assert (found, depth) == ([], DEEPEST - 1)
    assert mapping(b'{"b": {"x": [1, 2.0, null]}, "a": true}', "here") == {"b": {"x": [1, 2.0, None]}, "a": True}
    with pytest.raises(StorageError, match="bytes; expected a document of at most"):
        parsed(bytes(LARGEST + 1), "here")


def test_a_damaged_record_names_its_file(tmp_path) -> None:
    store = Store(tmp_path)
    store.write("runs/one/record.json", b'{"run": ' + b"[" * 5000)
    with pytest.raises(StorageError, match=r"runs/one/record\.json: is damaged"):
        runs.load(store, "one")


def test_a_document_that_is_far_too_large_is_not_read(tmp_path) -> None:
    store = Store(tmp_path)
    store.write("runs/one/record.json", b"{}")
    # It has no blocks on the disk, and would have a terabyte in memory.
    os.truncate(store.location("runs/one/record.json"), 10**12)
    with pytest.raises(StorageError, match="has 1000000000000 bytes; expected a document of at most"):
        runs.load(store, "one")
    found = store.documents("runs", "record.json")
    assert "has 1000000000000 bytes" in str(found["one"])


def test_a_value_of_any_size_is_shown_short() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    bomb: object = "x" * 1000
    for _ in range(12):
        bomb = {"a": [bomb] * 100, "b": (bomb,) * 100}
    for value in (
        "y" * 10**6,
        16**100_000,
        -(16**100_000),
        deep,
        bomb,
        list(range(10**6)),
        {10**5000: 1},
        b"z" * 10**6,
    ):
        start = time.process_time()
        assert len(shown(value)) <= 240
        assert time.process_time() - start < 1
    assert shown("short") == "'short'"
    assert shown(10**30) == f"{10**30}"
    assert shown([8, -1]) == "[8, -1]"
    assert cut("x" * 10, 4) == "xx…x"


def test_near_names_are_offered() -> None:
    known = ["darcy", "darcy-3d", "heat", "helmholtz"]
    assert nearest("dracy", known) == ["darcy"]
    assert nearest("Helmoltz", known) == ["helmholtz"]
    assert meant("stokes", known) == ""
    assert nearest("x" * 10_000, known) == []
