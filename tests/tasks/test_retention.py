"""`ritz gc --keep`: how many versions of a dataset stay, and which do in any case."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.store import Store
from ritz.tasks.upkeep.collecting import collect
from tests.command import inside
from tests.storage.fields import definition, fill


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with a dataset of four versions that nobody names."""
    store = Store(tmp_path / "store")
    made = Committer.ensure(store, "made", **definition())
    for shard in range(4):
        fill(made, shard)
        made.publish(f"{shard}")
    return store


def _versions(store: Store) -> list[str]:
    return [one.version for one in Dataset.open(store, "made").versions()]


def _gc(store: Store, *arguments: str) -> dict[str, Any]:
    done = inside("gc", "--store", store.url, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["datasets"][0]
    return found


def test_old_versions_beyond_so_many_go_and_the_sizes_are_told(store: Store) -> None:
    assert _gc(store, "--keep", "1")["versions"] == []
    dry = _gc(store, "--older-than", "0d", "--keep", "2")
    assert (dry["versions"], dry["bytes_before"], dry["bytes_after"]) == (
        ["v1", "v2"],
        store.size("datasets/made"),
        None,
    )
    assert _versions(store) == ["v1", "v2", "v3", "v4"]
    done = _gc(store, "--older-than", "0h", "--keep", "2", "--delete")
    assert (done["versions"], done["snapshots"]) == (dry["versions"], dry["snapshots"])
    assert done["bytes_before"] == dry["bytes_before"] > done["bytes_after"]
    assert done["bytes_after"] == pytest.approx(store.size("datasets/made"), abs=200)
    assert _versions(store) == ["v3", "v4"]
    assert _gc(store, "--older-than", "0", "--keep", "2", "--delete")["versions"] == []


def test_what_a_catalogue_names_stays(store: Store) -> None:
    note = {"catalogue": "/srv/site", "datasets": {"made": ["v1"]}}
    store.write("catalogues/0123/named.json", json.dumps(note).encode())
    collect(store.url, timedelta(0), delete=True, keep=1)
    assert _versions(store) == ["v1", "v4"]


def test_all_stays_where_a_list_of_names_is_damaged(store: Store) -> None:
    store.write("catalogues/0123/named.json", b"{")
    found = collect(store.url, timedelta(0), delete=True, keep=1)
    assert (found.datasets[0].versions, found.datasets[0].snapshots) == ((), 0)
    assert any("catalogues/0123/named.json" in damage for damage in found.damaged)
    assert _versions(store) == ["v1", "v2", "v3", "v4"]


@pytest.mark.parametrize("text", ["ninety", "90 weeks", "-1", "36501", "1e3"])
def test_another_age_is_refused(store: Store, text: str) -> None:
    done = inside("gc", "--store", store.url, f"--older-than={text}")
    assert done.returncode == 2
    assert "expected e.g. 90d, 12h, or days: 90" in " ".join(done.stderr.split())
