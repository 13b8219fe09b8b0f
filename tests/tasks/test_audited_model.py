from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from ritz.storage import models
from ritz.storage.errors import Unknown
from ritz.storage.store import Store
from ritz.tasks.auditing.model_files import CHECKS, audit
from ritz.tasks.checks import audited
from tests.command import inside

DATA = Path(__file__).parents[1] / "data" / "store.tar.gz"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store whose model ``small@v1`` has no digests, and ``sealed@v1``, the same one, has."""
    with tarfile.open(DATA) as archive:
        archive.extractall(tmp_path, filter="data")
    store = Store(tmp_path / "store")
    files, card = models.load(store, "small")
    models.save(store, "sealed", files, card)
    return store


def test_a_model_as_it_was_saved_is_clean(store: Store) -> None:
    found = audit(store.url, "sealed")
    assert (found.model, found.version, found.clean, found.digests) == ("sealed", "v1", True, True)
    assert list(found.checks) == list(CHECKS)
    assert found.checks["files"].checked == len(list(Path(store.location("models/sealed/v1")).iterdir()))
    assert found.findings == ()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_flipped_byte_of_any_file_is_named(store: Store, place: int) -> None:
    folder = Path(store.location("models/sealed/v1"))
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        at = (0, len(whole) // 2, len(whole) - 1)[place]
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        found = audit(store.url, "sealed@v1")
        assert not found.clean
        assert [one.check for one in found.findings] == ["files"]
        assert str(path) in found.findings[0].text
        path.write_bytes(whole)
    assert audit(store.url, "sealed@v1").clean


def test_a_missing_and_a_stray_file_are_named(store: Store) -> None:
    folder = Path(store.location("models/sealed/v1"))
    (folder / "bands.json").unlink()
    (folder / "extra").write_bytes(b"x")
    texts = [one.text for one in audit(store.url, "sealed").findings]
    assert [text.rpartition("/")[2] for text in texts] == ["bands.json: missing", "extra: no file of the model"]


def test_a_model_whose_dataset_is_gone_says_so(store: Store) -> None:
    shutil.rmtree(store.location("datasets/small"))
    done = inside("audit", "sealed", "--store", store.url)
    assert done.returncode == 1
    assert "sealed@v1 was trained on small@v1, snapshot " in done.stdout
    assert done.stdout.splitlines()[-1] == "model sealed@v1 is NOT clean"


def test_a_model_without_digests_is_looked_at_as_far_as_it_can_be_read(store: Store) -> None:
    store.write("models/alone/v1/card.json", store.read("models/small/v1/card.json"))
    store.write("models/alone/v1/model.safetensors", store.read("models/small/v1/model.safetensors"))
    done = inside("audit", "alone", "--store", store.url, "--json")
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout)
    assert (found["clean"], found["digests"]) == (True, False)
    assert "wrote no digests" in done.stderr
    store.write("models/alone/v1/model.safetensors", b"x" * 100)
    assert "model.safetensors cannot be read" in inside("audit", "alone", "--store", store.url).stdout


def test_a_name_may_be_that_of_a_dataset_a_model_or_both(store: Store) -> None:
    assert audited(store.url, "small") == audited(store.url, "small@v1") == ("dataset", "model")
    assert audited(store.url, "sealed@v1") == ("model",)
    assert audited(store.url, "small@head") == ("dataset",)
    store.write("models/sealed/v1/card.json", b"damaged")
    assert audited(store.url, "sealed@v1") == ("model",)
    for spec, said in (
        ("none", "dataset 'none'"),
        ("small@v7", "no version 'v7'"),
        ("sealed@v7", "model 'sealed' has"),
    ):
        with pytest.raises(Unknown, match=said):
            audited(store.url, spec)
