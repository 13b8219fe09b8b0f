from __future__ import annotations

import pytest

from ritz.storage import runs
from ritz.storage.errors import StorageError, Unknown
from tests.storage.fields import in_both

pytestmark = in_both

RECORD = {"identity": "one", "status": "finished", "metrics": {"relative_l2": 0.02}}


def test_a_record_is_read_back_with_its_report(store):
    written = runs.save(store, "run-1", RECORD, b"<html>")
    assert runs.load(store, "run-1") == written
    assert written.items() >= RECORD.items()
    assert store.read("runs/run-1/report.html") == b"<html>"
    assert runs.report_location(store, "run-1").endswith("runs/run-1/report.html")


def test_a_record_is_replaced_and_keeps_its_place_and_report(store):
    first = runs.save(store, "b", RECORD | {"status": "running"}, b"<html>")
    runs.save(store, "a", RECORD)
    last = runs.save(store, "b", RECORD | {"metrics": {}})
    assert last["created"] == first["created"]
    assert store.read("runs/b/report.html") == b"<html>"
    assert runs.look(store).good == [last, runs.load(store, "a")]


def test_the_latest_finished_record_of_an_identity_is_found(store):
    assert runs.find(store, "one") is None
    runs.save(store, "c", RECORD | {"run": "c"})
    runs.save(store, "b", RECORD | {"run": "b"})
    runs.save(store, "a", RECORD | {"run": "a", "status": "failed"})
    runs.save(store, "d", RECORD | {"run": "d", "identity": "two"})
    assert runs.find(store, "one") == runs.load(store, "b")
    assert runs.find(store, "three") is None


def test_a_run_killed_before_its_first_record_is_no_run(store):
    store.write("runs/torn/report.html", b"")
    assert runs.look(store).good == []
    runs.save(store, "whole", RECORD)
    with pytest.raises(Unknown, match=r"'torn'.*the latest are: whole"):
        runs.load(store, "torn")


@pytest.mark.parametrize(
    ("run_id", "record", "message"),
    [
        ("a/b", RECORD, "run name"),
        ("a", {"status": "finished"}, "needs an identity"),
        ("a", RECORD | {"status": "done"}, "'done', expected one of .*finished"),
        ("a", RECORD | {"x": float("inf")}, "JSON"),
    ],
)
def test_a_wrong_record_leaves_nothing_behind(store, run_id, record, message):
    with pytest.raises(StorageError, match=message):
        runs.save(store, run_id, record, b"<html>")
    assert not store.exists("runs")
