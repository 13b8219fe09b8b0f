from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ritz.storage import models, runs
from ritz.storage.cached import CachedSamples
from ritz.storage.errors import Refused, StorageError, Unknown
from ritz.storage.reading import read
from ritz.storage.selection import Selection
from ritz.storage.store import Store
from ritz.tasks.checks import check_replay
from ritz.tasks.documents.records import trained
from ritz.tasks.training.replay import sentence
from ritz.tasks.training.replay_record import ComparedReplay
from ritz.tasks.training.replay_worker import _array, batches, done_again, opened
from tests.command import inside, replayed
from tests.tasks.made import unseal

TinyStore = tuple[Path, dict[str, Any]]


@pytest.fixture
def copied(tiny_store: TinyStore, tmp_path: Path) -> Store:
    shutil.copytree(tiny_store[0], tmp_path / "store")
    return Store(tmp_path / "store")


def test_a_run_is_replayed_bit_for_bit_from_the_store(tiny_store: TinyStore) -> None:
    store, record = Store(tiny_store[0]), tiny_store[1]
    spec = check_replay(store.url, record["run"])
    assert spec == "tiny@v1"
    found = replayed(store.url, spec)
    assert (found["agrees"], found["exact"], found["equal"]) == (True, True, True)
    assert (found["steps"], found["records"], found["steps_differing"]) == (96, 96, 0)
    assert sentence(ComparedReplay.model_validate(found)).startswith(
        "equal bit for bit: the losses of 96 steps, 96 records of the curve"
    )


def _replace(store: Store, schedule: np.ndarray) -> None:
    """Give the model another schedule, with its digest: a file that is changed without is refused before."""
    written = io.BytesIO()
    np.save(written, schedule)
    models.update(store, "tiny@v1", "schedule.npy", written.getvalue())


def test_a_tampered_schedule_is_found(copied: Store) -> None:
    files, _ = models.load(copied, "tiny")
    schedule = _array("tiny", files, "schedule.npy")
    schedule[40] = np.roll(schedule[41], 1)
    _replace(copied, schedule)
    found = replayed(copied.url, "tiny@v1")
    assert not found["agrees"]
    assert found["first_difference"]["step"] == 41
    assert sentence(ComparedReplay.model_validate(found)).startswith(
        f"step 41 is the first that differs: loss {found['first_difference']['recorded']}"
    )


def test_the_samples_of_a_step_are_those_of_the_snapshot(tiny_store: TinyStore) -> None:
    kept = opened(Store(tiny_store[0]), "tiny@v1")
    data = read(Store(tiny_store[0]), "tiny@v1").load()
    row = {int(sample): place for place, sample in enumerate(data["sample_id"].values)}
    steps = list(batches(kept.recorded.schedule, kept.samples))
    assert len(steps) == 96
    ids, fields = steps[37]
    np.testing.assert_array_equal(ids, kept.recorded.schedule[37])
    np.testing.assert_array_equal(fields["a"], data["a"].values[[row[int(one)] for one in ids]])


def test_only_so_much_of_the_dataset_is_in_memory(tiny_store: TinyStore) -> None:
    selection = Selection(Store(tiny_store[0]), "tiny@v1", splits=None)
    sample = 2 * 16 * 16 * 4
    cached = CachedSamples(selection, limit=10 * sample)
    rng = np.random.default_rng(1)
    whole = read(Store(tiny_store[0]), "tiny@v1").load()
    for _ in range(20):
        ids = rng.choice(selection.sample_id, 6)
        found = cached.read(ids)
        assert sorted(found) == sorted(set(ids.tolist()))
        assert cached.kept <= 10 * sample
    for one, fields in found.items():
        expected = whole["u"].values[np.flatnonzero(whole["sample_id"].values == one)[0]]
        np.testing.assert_array_equal(fields["u"], expected)
    with pytest.raises(StorageError, match="sample 777 is not among the 160"):
        cached.read(np.array([777]))


def test_what_is_no_run_or_has_no_training_is_refused(copied: Store) -> None:
    with pytest.raises(Unknown, match="run 'nothing': not in"):
        trained(copied.url, "nothing")
    runs.save(
        copied, "failed-run", {"run": "failed-run", "identity": "x", "status": "failed", "error": "Boom: it broke"}
    )
    with pytest.raises(Refused, match=r"'failed-run' has the status 'failed' \(Boom: it broke\) and came to no model"):
        trained(copied.url, "failed-run")
    with pytest.raises(Unknown, match="has no version 'v7'"):
        trained(copied.url, "tiny@v7")
    done = inside("replay", "nothing", "--store", copied.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ritz: run 'nothing': not in")


def test_what_the_training_learnt_from_must_be_there(copied: Store) -> None:
    card = models.read_card(copied, "tiny")
    models.amend(copied, "tiny", {"dataset": card["dataset"] | {"snapshot": "1CECHNKREP0F1RSTCMT0"}})
    with pytest.raises(Unknown, match=r"was trained on dataset tiny@v1, snapshot 1CECHNKREP0F1RSTCMT0, which is gone"):
        check_replay(copied.url, "tiny@v1")
    models.amend(copied, "tiny", {"dataset": card["dataset"]})
    place = Path(copied.location("models/tiny/v1/schedule.npy"))
    schedule = np.load(place)
    schedule[3, 2] = 999
    _replace(copied, schedule)
    with pytest.raises(Unknown, match="sample 999, which the schedule of model tiny@v1 names, is not among the good"):
        check_replay(copied.url, "tiny@v1")
    _replace(copied, schedule[:50])
    with pytest.raises(StorageError, match=r"schedule.npy has the shape \(50, 8\) and losses.npy \(96,\)"):
        check_replay(copied.url, "tiny@v1")
    unseal(place.parent)
    place.with_name("losses.npy").unlink()
    with pytest.raises(Refused, match=r"losses.npy is not there.*train it again"):
        check_replay(copied.url, "tiny@v1")
    shutil.rmtree(copied.location("datasets/tiny"))
    place.with_name("losses.npy").write_bytes(b"")
    with pytest.raises(StorageError, match=r"losses.npy cannot be read"):
        check_replay(copied.url, "tiny@v1")


def test_a_sample_whose_fields_are_gone_is_named(tiny_store: TinyStore) -> None:
    kept = opened(Store(tiny_store[0]), "tiny@v1")

    class Emptied(Selection):
        def read(self, places: Any) -> dict[str, np.ndarray]:
            return {name: np.full_like(values, np.nan) for name, values in super().read(places).items()}

    emptied = CachedSamples(Emptied(Store(tiny_store[0]), "tiny@v1", splits=None))
    with pytest.raises(StorageError, match=r"sample \d+ of dataset tiny@v1 is gone.*ritz audit tiny@v1"):
        done_again(replace(kept, samples=emptied))


def test_the_history_says_on_what_it_was_made(tiny_store: TinyStore) -> None:
    import torch

    files, card = models.load(Store(tiny_store[0]), "tiny")
    history = json.loads(files["history.json"])
    (machine,) = history["machines"]
    assert machine["first"] == 0
    assert (machine["torch"], machine["threads"], machine["device"]) == (torch.__version__, 1, "cpu")
    assert history["total"] == 96
    assert 0 < history["seconds"] == card["training"]["seconds"]
    assert len(history["validation"]) == 16
