from __future__ import annotations

import signal
from pathlib import Path

import pytest

from storage import models
from storage.committer import Committer
from storage.datasets import Dataset
from storage.errors import Busy, Unknown
from tests.storage.fields import definition


def test_what_a_creation_left_that_was_killed_is_replaced(store):
    for leftover in ("snapshots/1CECHNKREP0F1RSTCMT0", "refs/branch.main/ref.json", "config.yaml"):
        store.write(f"datasets/.made.new/{leftover}", b"torn")
    with pytest.raises(Unknown):
        Dataset.open(store, "made")
    assert Committer.ensure(store, "made", **definition()).committed() == set()
    assert not Path(store.location("datasets/.made.new")).exists()


def test_what_a_saving_left_that_was_killed_is_replaced(store):
    store.write("models/net/.new/weights", b"torn")
    store.write("models/net/.new/other", b"torn")
    models.save(store, "net", {"weights": b"whole"}, {"identity": "one"})
    assert models.load(store, "net") == ({"weights": b"whole"}, {"identity": "one"})


def test_the_lock_is_refused_by_name_and_ends_with_its_holder(dataset, start):
    process = start("hold", dataset.store.url)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Busy, match=rf"dataset 'made' .* in use by process {process.pid} on "), dataset.lock():
        pass
    with pytest.raises(Busy, match=str(process.pid)):
        dataset.publish("now")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with dataset.lock():
        pass
