from __future__ import annotations

import json
from pathlib import Path

import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.storage import runs
from ritz.storage.store import Store
from ritz.tasks.recipes import load
from tests import attached
from tests.command import SMALL, inside

pytestmark = pytest.mark.slow


def test_a_run_that_fails_leaves_its_reason_and_the_next_one_finishes(
    tmp_path: Path, cluster: Cluster, environment: dict[str, str]
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    pipeline = load(SMALL)
    # Training keeps its state in a folder of this name.
    place = store / "fits" / pipeline.model_identity("online", pipeline.samples_identity)
    place.parent.mkdir()
    place.write_text("in the way")
    options = ("--store", str(store), "--profile", attached.profile(cluster), "--json")
    done = inside("run", SMALL, *options, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    [failed] = runs.look(Store(store)).good
    assert failed["status"] == "failed"
    assert failed["error"].startswith(f"StorageError: cannot write {store}/fits/")
    assert failed["error"].removeprefix("StorageError: ") in done.stderr
    assert set(failed) == {
        *(
            "run",
            "status",
            "identity",
            "fit",
            "created",
            "command",
            "recipe",
            "versions",
            "machine",
            "paths",
            "error",
            "usage",
        ),
    }
    assert (failed["paths"], failed["recipe"]["name"]) == ({"store": str(store)}, "small")

    place.unlink()
    done = inside("run", SMALL, *options, env=environment)
    assert done.returncode == 0, done.stderr
    assert runs.look(Store(store)).good == [failed, json.loads(done.stdout)]
