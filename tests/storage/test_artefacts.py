from __future__ import annotations

from pathlib import Path

import pytest

from ritz.storage import artefacts
from ritz.storage.digests import digest
from ritz.storage.errors import Damaged, StorageError, Unknown
from ritz.storage.store import Store


def test_a_file_is_found_by_name_and_digest_and_stored_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    own = artefacts.save(store, "poisson", b"weights")
    assert own == digest(b"weights")
    assert artefacts.load(store, "poisson", own) == b"weights"
    assert artefacts.save(store, "poisson", b"weights") == own
    other = artefacts.save(store, "poisson", b"others")
    assert artefacts.load(store, "poisson", own) == b"weights"
    assert store.list("artefacts/poisson") == sorted([own, other])


def test_one_that_is_not_there_is_named_beside_those_that_are(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(Unknown, match=r"poisson.*is not in the store"):
        artefacts.load(store, "poisson", 64 * "0")
    own = artefacts.save(store, "poisson", b"weights")
    with pytest.raises(Unknown, match=f"has {own}"):
        artefacts.load(store, "poisson", 64 * "0")


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    own = artefacts.save(store, "poisson", b"weights")
    (tmp_path / "artefacts" / "poisson" / own).write_bytes(b"weighty")
    with pytest.raises(Damaged, match=own):
        artefacts.load(store, "poisson", own)


@pytest.mark.parametrize("name", ["", "../x", ".hidden"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="artefact name"):
        artefacts.save(Store(tmp_path), name, b"weights")
