"""Every byte of a repository either is named when it is flipped, or says nothing of the version."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import pytest

from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.errors import StorageError, Unknown
from ritz.storage.garbage import sweep
from ritz.storage.integrity.located import locate
from ritz.storage.integrity.objects import Snapshot, branch_file, pointed_at, tag_file, tags
from ritz.storage.integrity.scan import Scan, Unopened
from ritz.storage.integrity.seals import seal_key
from ritz.storage.ledger import COLUMNS
from ritz.storage.shards import write_shard
from ritz.storage.store import Store
from tests.storage.fields import SHAPE, SHARDS, N, definition, fill, ledger, template

KEY = "datasets/made"


@dataclass
class Look:
    """What can be found out about version 1: damage by file, and all values."""

    named: dict[str, str]
    values: dict[Any, bytes]
    content: dict[str, Any]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A published version, one after it that shares its shards, and a commit behind both."""
    store = Store(tmp_path_factory.mktemp("pristine") / "store")
    corners = np.random.default_rng(9).integers(0, 999, (200, 3))
    planned = template().assign_coords(corners=(("face", "corner"), corners, {"units": "1"}))
    dataset = Committer.ensure(store, "made", **definition(template=planned))
    with dataset.lock():
        for shards, message in (((0, 1, 3), "some"), ((4,), "more"), ((2,), "")):
            fork = dataset.fork()
            for shard in shards:
                dataset.commit({shard: (write_shard(fork, shard, fields(shard), ledger(shard)), ledger(shard))})
            if message:
                dataset.publish(message)
    return store


def fields(shard: int) -> dict[str, np.ndarray]:
    """Values that do not compress: small chunks would lie in manifests."""
    rng = np.random.default_rng(shard)
    return {name: rng.standard_normal(SHAPE).astype(np.float32) for name in ("a", "u")}


@pytest.fixture
def store(pristine: Store, tmp_path: Path) -> Store:
    return Store(shutil.copytree(pristine.url, tmp_path / "store"))


def look(store: Store) -> Look:
    located = locate(store, "made@v1")
    found = Look({damage.object: damage.what for damage in located.damage}, {}, {})
    if located.snapshot is None:
        return found
    try:
        scan = Scan(store, "made", located.snapshot)
    except StorageError as error:
        if isinstance(error, Unopened):
            found.named.setdefault(error.object, error.what)
        return found
    own = f"{KEY}/snapshots/{located.snapshot}"
    if own in found.named and located.seal:
        if not scan.same_content(located.seal):
            return found
        del found.named[own]
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(store.location(KEY)))
    found.content = Snapshot.of(repository, located.snapshot).content
    for name in (*scan.fields, *COLUMNS):
        for shard in filter(scan.has, range(scan.n_shards)):
            part = scan.read(name, shard)
            found.values[name, shard] = part.values.tobytes()
            found.named |= {fault.object: fault.what for fault in part.faults}
    for name in ("sample_id", "split", *scan.coordinates()):
        values, faults, _ = scan.whole(name)
        found.values[name] = values.tobytes()
        found.named |= {fault.object: fault.what for fault in faults}
    return found


def needed(store: Store) -> dict[str, set[str]]:
    """Return the files that version 1 refers to, by what they are."""
    located = locate(store, "made@v1")
    assert located.seal is not None
    scan = Scan(store, "made", located.seal.snapshot)
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(store.location(KEY)))
    contents = Snapshot.of(repository, located.seal.snapshot)
    chunks = {contents.object_of(store, KEY, name, (shard, 0, 0)) for name in scan.fields for shard in (0, 1, 3)}
    chunks |= {contents.object_of(store, KEY, name, (0,)) for name in ("sample_id", "split")}
    chunks |= {contents.object_of(store, KEY, name, (0,) * len(dims)) for name, dims in scan.coordinates().items()}
    described = set(located.seal.files) | {tag_file("v1"), seal_key(KEY, "v1").removeprefix(f"{KEY}/")}
    return {
        "sealed": {f"{KEY}/{file}" for file in described - {f"snapshots/{located.seal.snapshot}"}},
        "chunks": {f"{KEY}/{file}" for file in chunks},
        # May be written anew with the same content.
        "rewritten": {f"{KEY}/snapshots/{located.seal.snapshot}", f"{KEY}/config.yaml"},
    }


def files(store: Store) -> list[str]:
    root = Path(store.url)
    found = (path for path in (root / KEY).rglob("*") if path.is_file())
    return sorted(str(path.relative_to(root)) for path in found)


def test_the_files_of_a_version_are_known(store: Store) -> None:
    parts = needed(store)
    assert {file.split("/")[2] for file in parts["sealed"]} == {"manifests", "transactions", "refs", "seals", "chunks"}
    # Three shards of two fields, the ids and a coordinate; other arrays are so small that they lie in manifests.
    assert len({file for file in parts["chunks"] if "/chunks/" in file}) == 2 * 3 + 2
    everything = set(files(store))
    assert everything > {file for part in parts.values() for file in part}
    assert look(store).named == {}


# Files have random names and contents, so that a seed does not repeat the same flips.
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 200))])
def test_a_flipped_byte_is_named_or_says_nothing_of_the_version(store: Store, seed: int) -> None:
    rng = random.Random(seed)
    clean, parts = look(store), needed(store)
    kinds = [*parts.values(), set(files(store)) - {file for part in parts.values() for file in part}]
    seen: set[int] = set()
    for turn in range(48):
        kind = turn % len(kinds)
        file = rng.choice(sorted(kinds[kind]))
        path = Path(store.location(file))
        before = path.read_bytes()
        flipped = bytearray(before)
        # Headers are short, and where the engine looks first.
        at = rng.randrange(len(before)) if rng.random() < 0.8 else rng.randrange(min(48, len(before)))
        flipped[at] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        found = look(store)
        path.write_bytes(before)
        case = f"{file} byte {at}: {before[at]} to {flipped[at]}"
        if file in found.named:
            seen.add(kind)
            continue
        # Nothing else is blamed, and nothing that can be read of the version has changed.
        assert found.named == {}, case
        assert found.values == clean.values, case
        assert found.content == clean.content, case
        assert file in parts["rewritten"] | kinds[-1], case
    assert {0, 1, 2} <= seen
    assert look(store).named == {}


def test_a_file_that_is_gone_is_named(store: Store) -> None:
    parts = needed(store)
    for file in sorted({file for part in parts.values() for file in part} - {f"{KEY}/config.yaml"}):
        path = Path(store.location(file))
        before = path.read_bytes()
        path.unlink()
        assert file in look(store).named
        path.write_bytes(before)
    assert look(store).named == {}


def test_one_bad_sample_hides_no_other(store: Store) -> None:
    scan = Scan(store, "made", pointed_at(store, KEY, tag_file("v1")))
    [file] = {fault.object for fault in _after_flips(store, scan, "u", 1, [20, 200])}
    assert file in needed(store)["chunks"]


def _after_flips(store: Store, scan: Scan, name: str, shard: int, places: list[int]) -> list[Any]:
    good = scan.read(name, shard)
    assert good.faults == ()
    np.testing.assert_array_equal(good.values, fields(shard)[name])
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(store.location(KEY)))
    file = Snapshot.of(repository, scan.snapshot).object_of(store, KEY, name, (shard, 0, 0))
    path = Path(store.location(f"{KEY}/{file}"))
    data = bytearray(path.read_bytes())
    for at in places:
        data[at] ^= 1
    path.write_bytes(data)
    part = scan.read(name, shard)
    bad = sorted(row for fault in part.faults for row in fault.rows)
    assert 1 <= len(bad) <= len(places)
    assert np.flatnonzero(part.unreadable).tolist() == bad
    left = ~part.unreadable
    np.testing.assert_array_equal(part.values[left], fields(shard)[name][left])
    assert not part.values[part.unreadable].any()
    return list(part.faults)


def test_a_shard_that_is_not_committed_is_told_from_a_missing_one(store: Store) -> None:
    scan = Scan(store, "made", pointed_at(store, KEY, tag_file("v1")))
    assert [scan.has(shard) for shard in range(SHARDS)] == [True, True, False, True, False]
    assert scan.stated == 3 * N // SHARDS
    part = scan.read("u", 2)
    assert part.unreadable.all()
    assert [fault.what for fault in part.faults] == ["all of the shard: no chunk is stored"]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_taking_older_snapshots_away_is_no_damage(store: Store, version: str) -> None:
    dataset = Committer.open(store, "made")
    with dataset.lock():
        assert sweep(dataset, set(), timedelta(0), delete=True).snapshots > 0
    located = locate(store, f"made@{version}")
    assert located.seal is not None
    own = f"{KEY}/snapshots/{located.snapshot}"
    # Its file is written anew, with another parent.
    assert [damage.object for damage in located.damage] == [own]
    assert Scan(store, "made", located.seal.snapshot).same_content(located.seal)


def test_versions_are_found_without_the_engine(store: Store) -> None:
    assert tags(store, KEY) == ["v1", "v2"]
    dataset = Dataset.open(store, "made")
    for version in ("v1", "v2", "latest", "head"):
        assert locate(store, f"made@{version}").snapshot == dataset.resolve(version).snapshot
    snapshot = dataset.resolve("v1").snapshot
    assert locate(store, f"made@{snapshot}").version == "v1"
    head = locate(store, "made@head")
    assert head.seal is None
    assert head.snapshot == pointed_at(store, KEY, branch_file())
    for version in ("v3", "0123", "main"):
        with pytest.raises(Unknown, match=f"dataset 'made' in .* has no version '{version}'; there are: v1, v2"):
            locate(store, f"made@{version}")


def test_a_dataset_without_a_version_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    dataset = Committer.ensure(store, "made", **definition())
    with pytest.raises(Unknown, match="no version 'latest'; there are: none yet"):
        locate(store, "made")
    fill(dataset, 0)
    assert locate(store, "made@head").snapshot is not None


def test_a_version_that_lost_its_seal_says_so(store: Store) -> None:
    path = Path(store.location(seal_key(KEY, "v1")))
    path.unlink()
    located = locate(store, "made@v1")
    assert [damage.object for damage in located.damage] == [seal_key(KEY, "v1")]
    assert located.snapshot == pointed_at(store, KEY, tag_file("v1"))
    assert [damage.object for damage in locate(store, "made@v2").damage] == []
