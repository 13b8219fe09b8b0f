from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.compute.problems.darcy import Darcy
from ritz.storage.errors import Refused, Unknown
from ritz.storage.store import Store
from ritz.tasks.auditing.audit import audit
from ritz.tasks.auditing.findings import CHECKS
from ritz.tasks.checks import check_audit
from tests.tasks.made import FAILED, NAME, SAMPLES, SHARD, change, flip, make, object_of, position

SAMPLE = 20
"""The one that is damaged; audits of the undamaged dataset do not solve it again."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Local(solve=Role(count=2), train=Role(count=1)).open() as opened:
        yield opened


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make(tmp_path_factory.mktemp("pristine") / "store")


@pytest.fixture
def store(pristine: Store, tmp_path: Path) -> Store:
    return Store(shutil.copytree(pristine.url, tmp_path / "store"))


@pytest.fixture
def looked_at(cluster: Cluster, store: Store) -> Callable[..., dict[str, Any]]:
    return lambda version="latest": audit.fn(store.url, cluster, f"{NAME}@{version}").document()


def _only(record: dict[str, Any], check: str) -> dict[str, Any]:
    """Return the one finding of an audit."""
    assert not record["clean"]
    assert [finding["check"] for finding in record["findings"]] == [check], record["findings"]
    assert {name: one["bad"] for name, one in record["checks"].items() if one["bad"]}.keys() == {check}
    found: dict[str, Any] = record["findings"][0]
    return found


def test_a_dataset_as_a_run_leaves_it_is_clean(
    cluster: Cluster, tiny_store: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    store = Store(shutil.copytree(tiny_store[0], tmp_path / "store"))
    record = audit.fn(store.url, cluster, "tiny").document()
    assert record["findings"] == []
    assert record["clean"]
    assert (record["version"], record["samples"], record["not_done"]) == ("v1", 160, [])
    assert record["snapshot"] == tiny_store[1]["dataset"]["snapshot"]
    checks = record["checks"]
    assert list(checks) == list(CHECKS)
    # Two fields of 160 chunks and 20 indices, seven columns of 20, two coordinates of samples and two of space.
    assert checks["checksums"]["checked"] == 2 * (160 + 20) + 7 * 20 + 4
    assert {checks[name]["checked"] for name in ("ids", "splits", "ledger", "inputs", "residuals", "boundary")} == {160}
    assert checks["coordinates"]["checked"] == 2
    assert checks["again"]["checked"] == len(record["solved_again"]) == 2
    assert checks["ledger"]["worst"]["bound"] == 1e-8
    # What rounding adds on 16² is some 1e-6 at most, so the bound is far from one that holds nothing.
    for name in ("residuals", "boundary", "again"):
        assert 0 < checks[name]["worst"]["value"] < checks[name]["worst"]["bound"] < 1e-4
        assert checks[name]["worst"]["sample"] in range(160)
    assert checks["boundary"]["worst"]["value"] <= checks["residuals"]["worst"]["value"]
    assert json.loads(store.read(record["record"])) == record
    assert store.list("audits/tiny") == [Path(record["record"]).name]


def test_a_failed_sample_is_no_finding(looked_at: Callable[..., dict[str, Any]]) -> None:
    record = looked_at()
    assert record["findings"] == []
    assert record["samples"] == record["checks"]["inputs"]["checked"] == SAMPLES
    assert record["checks"]["residuals"]["checked"] == SAMPLES - 1
    assert FAILED not in record["solved_again"]
    assert SAMPLE not in record["solved_again"]


def test_a_flipped_byte_in_a_chunk_is_named_and_hides_no_other(
    store: Store, looked_at: Callable[..., dict[str, Any]]
) -> None:
    shard, _ = divmod(position(store, SAMPLE), SHARD)
    file = object_of(store, "u", shard, 0, 0)
    flip(store, file, 40)
    flip(store, file, len(store.read(file)) // 2)
    record = looked_at()
    findings = record["findings"]
    assert {finding["check"] for finding in findings} == {"checksums"}
    assert {finding["object"] for finding in findings} == {file}
    assert {(finding["variable"], finding["shard"]) for finding in findings} == {("u", shard)}
    assert [len(finding["samples"]) for finding in findings] == [1, 1]
    assert all("checksum" in finding["what"] and file in finding["text"] for finding in findings)
    assert record["checks"]["residuals"]["checked"] >= SAMPLES - 3


def test_a_flipped_byte_in_the_index_of_a_shard_is_named(
    store: Store, looked_at: Callable[..., dict[str, Any]]
) -> None:
    file = object_of(store, "a", 2, 0, 0)
    flip(store, file, len(store.read(file)) - 30)
    finding = _only(looked_at(), "checksums")
    assert (finding["variable"], finding["shard"], finding["object"]) == ("a", 2, file)
    assert len(finding["samples"]) == SHARD
    assert finding["what"].startswith("all of the shard: ")


def test_a_missing_chunk_is_named_and_not_taken_for_nan(store: Store, looked_at: Callable[..., dict[str, Any]]) -> None:
    file = object_of(store, "u", 4, 0, 0)
    Path(store.location(file)).unlink()
    finding = _only(looked_at(), "checksums")
    assert (finding["variable"], finding["shard"], finding["object"]) == ("u", 4, file)
    assert len(finding["samples"]) == SHARD
    assert "not found" in finding["what"]


@pytest.mark.parametrize("bit", range(3))
def test_a_flipped_byte_in_a_manifest_is_named(
    store: Store, looked_at: Callable[..., dict[str, Any]], bit: int
) -> None:
    # Ledger columns are so small that their chunks lie in the manifest.
    file = object_of(store, "residual", 1)
    assert "/manifests/" in file
    flip(store, file, len(store.read(file)) // 2, bit)
    record = looked_at()
    assert not record["clean"]
    assert {finding["object"] for finding in record["findings"]} == {file}
    assert "objects" in {finding["check"] for finding in record["findings"]}


def test_a_version_whose_snapshot_is_gone_is_named(store: Store, looked_at: Callable[..., dict[str, Any]]) -> None:
    snapshot = looked_at()["snapshot"]
    file = f"datasets/{NAME}/snapshots/{snapshot}"
    Path(store.location(file)).unlink()
    record = looked_at("v1")
    assert _only(record, "objects")["object"] == file
    assert record["snapshot"] == snapshot
    assert record["not_done"] == [check for check in CHECKS if check not in ("objects", "history")]


def test_a_changed_output_is_named_by_its_residual(store: Store, looked_at: Callable[..., dict[str, Any]]) -> None:
    change(store, "u", (position(store, SAMPLE), 4, 4), lambda value: value * np.float32(1.001))
    finding = _only(looked_at(), "residuals")
    assert finding["samples"] == [SAMPLE]
    assert finding["shard"] == position(store, SAMPLE) // SHARD
    # The version before it is as it was.
    assert looked_at("v1")["clean"]


def test_a_changed_output_at_a_wall_is_named_by_the_boundary_too(
    store: Store, looked_at: Callable[..., dict[str, Any]]
) -> None:
    change(store, "u", (position(store, SAMPLE), 0, 4), lambda value: value * np.float32(1.01))
    found = [(finding["check"], finding["samples"]) for finding in looked_at()["findings"]]
    assert found == [("residuals", [SAMPLE]), ("boundary", [SAMPLE])]


def test_a_changed_output_of_a_sample_that_is_solved_again_is_named_by_that_too(
    store: Store, looked_at: Callable[..., dict[str, Any]]
) -> None:
    sample = looked_at()["solved_again"][0]
    change(store, "u", (position(store, sample), 4, 4), lambda value: value * np.float32(1.001))
    found = [(finding["check"], finding["samples"]) for finding in looked_at()["findings"]]
    assert found == [("residuals", [sample]), ("again", [sample])]


def test_an_output_that_is_not_finite_is_named(store: Store, looked_at: Callable[..., dict[str, Any]]) -> None:
    change(store, "u", (position(store, SAMPLE), 4, 4), np.nan)
    found = {(finding["check"], tuple(finding["samples"])) for finding in looked_at()["findings"]}
    assert {("ledger", (SAMPLE,)), ("residuals", (SAMPLE,))} <= found
    assert {sample for _, samples in found for sample in samples} == {SAMPLE}


def test_a_changed_input_is_named(store: Store, looked_at: Callable[..., dict[str, Any]]) -> None:
    # The last bit.
    change(store, "a", (position(store, SAMPLE), 4, 4), lambda value: np.nextafter(value, np.float32(0)))
    finding = _only(looked_at(), "inputs")
    assert (finding["variable"], finding["samples"]) == ("a", [SAMPLE])


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("residual", 2e-8, "2e-08 is above 1e-08"),
        ("residual", np.nan, "nan is above 1e-08"),
        ("reason", 1, "a reason where the status is ok"),
        ("solver", 0, "no solver of the dataset"),
        ("seconds", -1.0, "no length of time"),
        ("status", 2, "failed for no reason"),
    ],
)
def test_a_changed_ledger_is_named(
    store: Store, looked_at: Callable[..., dict[str, Any]], column: str, value: float, what: str
) -> None:
    change(store, column, position(store, SAMPLE), value)
    record = looked_at()
    assert {finding["check"] for finding in record["findings"]} == {"ledger"}
    assert {tuple(finding["samples"]) for finding in record["findings"]} == {(SAMPLE,)}
    assert what in {finding["what"] for finding in record["findings"]}


def test_a_changed_split_is_named(store: Store, looked_at: Callable[..., dict[str, Any]]) -> None:
    change(store, "split", position(store, SAMPLE), 4)
    finding = _only(looked_at(), "splits")
    assert (finding["variable"], finding["samples"]) == ("split", [SAMPLE])


def test_an_id_that_is_there_twice_is_named(store: Store, looked_at: Callable[..., dict[str, Any]]) -> None:
    change(store, "sample_id", position(store, SAMPLE), 21)
    found = {finding["check"]: finding["samples"] for finding in looked_at()["findings"]}
    assert found["ids"] == [21]
    assert found["inputs"] == [21]


def test_a_negative_id_is_named(store: Store, looked_at: Callable[..., dict[str, Any]]) -> None:
    change(store, "sample_id", position(store, SAMPLE), -1)
    assert _only(looked_at(), "ids")["samples"] == [-1]


def test_a_changed_coordinate_is_named(store: Store, looked_at: Callable[..., dict[str, Any]]) -> None:
    change(store, "x", 3, lambda before: before + 1e-12)
    assert _only(looked_at(), "coordinates")["variable"] == "x"


def test_what_does_not_exist_is_refused(store: Store) -> None:
    with pytest.raises(Unknown, match=f"dataset 'nobody': not in .*; there are: {NAME}"):
        check_audit(store.url, "nobody")
    with pytest.raises(Unknown, match=f"dataset '{NAME}' in .* has no version 'v9'; there are: v1"):
        check_audit(store.url, f"{NAME}@v9")


class Mine(Darcy):
    """Of a class that no installed package brings."""

    kind: Literal["mine"] = "mine"  # type: ignore[assignment]


def test_a_problem_that_is_not_installed_is_refused(tmp_path: Path) -> None:
    store = make(tmp_path / "own", Mine(shape=(8, 8)))
    with pytest.raises(Refused, match=r"dataset made@v1: .* its problem 'mine' cannot be loaded .*ritz\.problems"):
        check_audit(store.url, NAME)
