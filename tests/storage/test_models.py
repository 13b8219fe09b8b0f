from __future__ import annotations

import pytest

from ritz.storage import models
from ritz.storage.errors import StorageError, Unknown
from tests.storage.fields import in_both

pytestmark = in_both

CARD = {"identity": "one", "dataset": {"name": "made", "snapshot": "ABC"}, "metrics": {"relative_l2": 0.02}}
FILES = {"weights.safetensors": b"\x00\x01", "bands.safetensors": b"\x02"}


def test_a_model_is_read_back(store):
    saved = models.save(store, "net", FILES, CARD)
    assert (saved.name, saved.version, saved.identity, saved.spec) == ("net", "v1", "one", "net@v1")
    for spec in ("net", "net@latest", "net@v1"):
        assert models.load(store, spec) == (FILES, CARD)


def test_the_same_identity_is_the_same_version(store):
    first = models.save(store, "net", FILES, CARD)
    second = models.save(store, "net", {"weights.safetensors": b"other"}, CARD | {"identity": "two"})
    assert models.save(store, "net", {"weights.safetensors": b"ignored"}, CARD) == first
    assert models.load(store, "net@v1")[0] == FILES
    assert models.load(store, "net")[1]["identity"] == "two"
    assert models.versions(store, "net") == models.list_models(store) == [first, second]


def test_versions_are_ordered_by_number(store):
    for number in range(1, 12):
        models.save(store, "net", FILES, {"identity": str(number)})
    assert models.resolve(store, "net").version == "v11"
    assert [one.version for one in models.versions(store, "net")] == [f"v{number}" for number in range(1, 12)]


def test_a_later_result_is_added_to_a_version(store):
    models.save(store, "net", FILES, CARD)
    models.update(store, "net@v1", "metrics.json", b"{}")
    models.update(store, "net@v1", "bands.safetensors", b"new")
    files, card = models.load(store, "net")
    assert files == FILES | {"metrics.json": b"{}", "bands.safetensors": b"new"}
    assert card == CARD
    with pytest.raises(StorageError, match=r"card\.json is written from the card"):
        models.update(store, "net", "card.json", b"{}")


def test_what_is_measured_later_is_added_to_the_card(store):
    saved = models.save(store, "net", FILES, CARD)
    amended = models.amend(store, "net@v1", {"metrics": {"relative_l2": 0.01}, "cost": {"seconds": 3.0}})
    assert models.read_card(store, "net") == amended
    assert amended == CARD | {"metrics": {"relative_l2": 0.01}, "cost": {"seconds": 3.0}}
    assert models.versions(store, "net") == [saved]
    with pytest.raises(StorageError, match="the identity of a card is fixed"):
        models.amend(store, "net", {"identity": "two"})
    with pytest.raises(StorageError, match="must be what JSON can hold"):
        models.amend(store, "net", {"cost": float("nan")})
    assert models.read_card(store, "net") == amended


def test_unknown_models_are_answered_with_those_there_are(store):
    with pytest.raises(Unknown, match="none yet"):
        models.load(store, "net")
    models.save(store, "net", FILES, CARD)
    with pytest.raises(Unknown, match=r"'nut'.*there are: net"):
        models.load(store, "nut")
    with pytest.raises(Unknown, match="no version 'v2'; there are: v1"):
        models.load(store, "net@v2")


@pytest.mark.parametrize(
    ("name", "files", "card", "message"),
    [
        ("../net", FILES, CARD, "model name"),
        ("net", {"../weights": b""}, CARD, "file name"),
        ("net", {"card.json": b""}, CARD, "written from the card"),
        ("net", FILES, {}, "needs an identity"),
        ("net", FILES, CARD | {"loss": float("nan")}, "JSON"),
        ("net", FILES, CARD | {"loss": object()}, "JSON"),
    ],
)
def test_a_wrong_model_leaves_nothing_behind(store, name, files, card, message):
    with pytest.raises(StorageError, match=message):
        models.save(store, name, files, card)
    assert not store.exists("models")
