"""A model is the one that was saved, or says that it is not; an update that is killed leaves the old or the new one."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from ritz.storage import models, sealed
from ritz.storage.digests import stamped
from ritz.storage.errors import Damaged, StorageError, Unknown
from ritz.storage.store import Store
from tests.storage.fields import in_both

CARD = {"identity": "one", "dataset": {"name": "made", "snapshot": "ABC"}}
FILES = {"model.safetensors": bytes(range(256)), "history.json": b'{"curve": []}'}
LATER = {"bands.json": b'{"levels": [0.5]}', "history.json": b'{"curve": [1]}'}


class Killed(BaseException):
    pass


def dying(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Die in the place of the next write but so many; removing counts too."""
    left = [after]

    def counted(call: Any) -> Any:
        def one(self: Store, *arguments: Any, **options: Any) -> Any:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return call(self, *arguments, **options)

        return one

    monkeypatch.setattr(Store, "write", counted(Store.write))
    monkeypatch.setattr(Store, "remove", counted(Store.remove))


def test_every_flipped_bit_of_every_file_is_named(store: Store) -> None:
    models.save(store, "net", FILES, CARD)
    models.add(store, "net", LATER, {"metrics": {"l2": 0.1}})
    folder = Path(store.location("models/net/v1"))
    assert sorted(path.name for path in folder.iterdir()) == [
        *("bands.json", "card.json", "history.json", "model.safetensors", "seal.json")
    ]
    for path in folder.iterdir():
        whole = path.read_bytes()
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
            with pytest.raises(StorageError, match=rf"{path}: "):
                models.load(store, "net")
        for damaged in (b"", whole[:-1], whole + b" "):
            path.write_bytes(damaged)
            with pytest.raises(StorageError, match=rf"{path}: "):
                models.load(store, "net@v1")
        path.unlink()
        with pytest.raises(StorageError, match=rf"{path}: "):
            models.load(store, "net@latest")
        path.write_bytes(whole)
    models.load(store, "net")


@in_both
def test_an_update_that_is_killed_leaves_the_model_before_it_or_after_it(store: Store) -> None:
    models.save(store, "net", FILES, CARD)
    before = models.load(store, "net")
    after = ({**FILES, **LATER}, {**CARD, "metrics": 1})
    seen = []
    for writes in range(20):
        with pytest.MonkeyPatch.context() as patch:
            dying(patch, writes)
            try:
                models.add(store, "net", LATER, {"metrics": 1})
            except Killed:
                pass
            else:
                break
        found = models.load(store, "net")
        assert found in (before, after), writes
        assert [version.spec for version in models.look(store).good] == ["net@v1"]
        seen.append(found == after)
        if found == after:
            # Back to where it was, through what the killed one left.
            models.add(store, "net", {"history.json": FILES["history.json"]}, {"metrics": None})
            before = models.load(store, "net")
            after = ({**FILES, **LATER}, {**CARD, "metrics": 1})
    assert (seen[0], seen[-1], len(seen) > 6) == (False, True, True)
    assert models.load(store, "net") == after
    assert not store.exists("models/net/v1/.next")


@in_both
def test_a_model_whose_saving_was_killed_is_completed_by_the_same_call(store: Store) -> None:
    for writes in range(20):
        with pytest.MonkeyPatch.context() as patch:
            dying(patch, writes)
            try:
                models.save(store, "net", FILES, CARD)
            except Killed:
                pass
            else:
                break
        with pytest.raises(StorageError, match=r"not in|missing; the process that wrote this folder was killed"):
            models.load(store, "net")
    assert writes == 5
    assert models.load(store, "net") == (FILES, CARD)
    assert [version.spec for version in models.look(store).good] == ["net@v1"]


def test_what_was_not_sealed_is_named_and_keeps_its_number(store: Store) -> None:
    models.save(store, "net", FILES, CARD)
    Path(store.location("models/net/v1/seal.json")).unlink()
    Path(store.location("models/net/v1/history.json")).write_bytes(b"{}")
    assert models.save(store, "net", FILES, {**CARD, "identity": "two"}).version == "v2"
    # It cannot be completed, since a file is another; nothing of it is written over.
    assert models.save(store, "net", FILES, CARD).version == "v3"
    assert store.read("models/net/v1/history.json") == b"{}"
    (error,) = models.look(store).damaged
    assert "models/net/v1/seal.json: missing" in str(error)
    with pytest.raises(Damaged, match=r"v1/seal\.json: missing"):
        models.resolve(store, "net@v1")


def older(store: Store) -> None:
    """What a release left that wrote no digests."""
    for name, data in {**FILES, "card.json": json.dumps(CARD).encode()}.items():
        store.write(f"models/net/v1/{name}", data)


def test_a_model_without_digests_is_loaded_and_says_so_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    older(store)
    for _ in range(2):
        assert models.load(store, "net") == (FILES, CARD)
    assert caplog.text.count("wrote no digests") == 1
    assert store.url in caplog.text
    assert models.save(store, "net", {}, CARD).version == "v1"
    models.add(store, "net", {"bands.json": b"{}"}, {})
    assert models.load(store, "net") == ({**FILES, "bands.json": b"{}"}, CARD)
    assert caplog.text.count("wrote no digests") == 1
    Path(store.location("models/net/v1/history.json")).write_bytes(b"{}")
    with pytest.raises(Damaged, match=r"history\.json: has other bytes"):
        models.load(store, "net")


def test_a_reader_meets_no_half_of_an_update(store: Store) -> None:
    models.save(store, "net", {"a": b"0", "b": b"0"}, {"identity": "one", "at": 0})
    ended = threading.Event()
    failed: list[Exception] = []

    def read() -> None:
        try:
            while not ended.is_set():
                files, card = models.load(store, "net")
                assert files["a"] == files["b"] == str(card["at"]).encode()
                assert models.read_card(store, "net")["identity"] == "one"
        except (AssertionError, StorageError) as error:
            failed.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(1, 25):
        models.add(store, "net", {"a": str(number).encode(), "b": str(number).encode()}, {"at": number})
    ended.set()
    thread.join()
    assert failed == []


def test_a_stray_file_is_no_part_of_a_model(store: Store) -> None:
    models.save(store, "net", FILES, CARD)
    store.write("models/net/v1/notes.txt", b"x")
    store.write("models/net/readme", b"x")
    store.write("models/other", b"x")
    assert models.load(store, "net")[0] == FILES
    damaged, count, with_digests = models.check(store, "net", "v1")
    assert [str(error).rpartition("/")[2] for error in damaged] == ["notes.txt: no file of the model"]
    assert (count, with_digests) == (4, True)
    assert len(models.look(store).damaged) == 2
    assert [version.spec for version in models.look(store).good] == ["net@v1"]


def test_a_damaged_version_is_named_and_the_others_can_be_used(store: Store) -> None:
    for number in ("one", "two", "three"):
        models.save(store, "net", FILES, {**CARD, "identity": number})
    shutil.copytree(store.location("models/net"), store.location("models/nut"))
    for version, text in (("v2", b"garbage"), ("v3", b"[]")):
        store.write(f"models/net/{version}/card.json", text)
    assert [version.spec for version in models.look(store).good] == ["net@v1", "nut@v1", "nut@v2", "nut@v3"]
    assert models.load(store, "net@v1")[1]["identity"] == "one"
    for spec in ("net@v2", "net@v3", "net"):
        with pytest.raises(Damaged, match=r"card\.json: has other bytes"):
            models.load(store, spec)
    with pytest.raises(Unknown, match="there are: v1, v2, v3"):
        models.load(store, "net@v4")
    assert models.save(store, "net", FILES, {**CARD, "identity": "four"}).version == "v4"


@pytest.mark.parametrize(
    ("file", "fault", "said"),
    [
        ("seal.json", stamped({}), "document is missing"),
        ("seal.json", stamped({"document": 3, "changing": []}), "document is 3, expected a string"),
        ("seal.json", stamped({"document": "0", "changing": 3}), "changing is 3, expected a list"),
        ("seal.json", b"[" * 100000, "does not have its own digest"),
        ("seal.json", 10**12, "has 1000000000000 bytes; expected a document of at most"),
        ("card.json", 10**12, "has 1000000000000 bytes; expected a document of at most"),
    ],
)
def test_what_a_stranger_has_written_hides_no_other_model(
    store: Store, file: str, fault: bytes | int, said: str
) -> None:
    for name in ("net", "nut"):
        models.save(store, name, FILES, CARD)
    path = Path(store.location(f"models/net/v1/{file}"))
    if isinstance(fault, int):
        # A file without content takes no room, whatever its size.
        os.truncate(path, fault)
    else:
        path.write_bytes(fault)
    found = models.look(store)
    assert [version.spec for version in found.good] == ["nut@v1"]
    assert [str(error) for error in found.damaged if said in str(error) and str(path) in str(error)]
    with pytest.raises(StorageError, match=said):
        models.load(store, "net")


@pytest.mark.parametrize("name", [sealed.DIGESTS, "identity"])
def test_entries_that_are_not_the_callers_are_refused(store: Store, name: str) -> None:
    models.save(store, "net", FILES, CARD)
    with pytest.raises(StorageError, match=name):
        models.amend(store, "net", {name: {}})
