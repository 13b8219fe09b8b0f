from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import dask.array
import numpy as np
import pytest
import xarray as xr

from ritz.storage import runs
from ritz.storage.export import export
from ritz.storage.files import write_file
from ritz.storage.store import Store
from ritz.tasks.documents.records import recorded
from ritz.tasks.driver import signals
from ritz.tasks.driver.signals import SIGNALS, Stop, Stopped, leave_alone, listen, stoppable, stopped
from ritz.tasks.upkeep.collecting import collect
from tests.tasks.test_records import begun, record

OLD = {"created": "2020-01-01T00:00:00+00:00"}


@pytest.fixture
def stop() -> Iterator[Stop]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield listen()
    finally:
        leave_alone()
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("first", SIGNALS)
def test_the_first_signal_stops_and_others_do_nothing_while_the_process_ends(first: signal.Signals, stop: Stop) -> None:
    assert stopped() is None
    with pytest.raises(Stopped, match=first.name):
        os.kill(os.getpid(), first)
    for number in SIGNALS:
        os.kill(os.getpid(), number)
    assert stopped() == stop.received == first


def test_an_ending_that_hangs_is_cut_off_by_the_next_signal(stop: Stop, monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(signals, "PATIENCE", -1.0)
    with pytest.raises(Stopped):
        stop(signal.SIGINT, None)
    stop(signal.SIGTERM, None)
    assert codes == [143]


def test_a_flow_takes_sigterm_back(stop: Stop) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert stoppable(lambda: signal.getsignal(signal.SIGTERM))() is stop


@pytest.mark.parametrize("ignored", [(signal.SIGINT,), (signal.SIGINT, signal.SIGHUP)])
def test_what_a_shell_has_started_in_the_background_takes_sigterm_back(ignored: tuple[signal.Signals, ...]) -> None:
    """It ignores interrupts, and under nohup the end of its terminal too."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        stop = listen()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with pytest.raises(Stopped, match="SIGTERM"):
            stoppable(lambda: os.kill(os.getpid(), signal.SIGTERM))()
        assert stopped() == stop.received == signal.SIGTERM
        assert {signal.getsignal(number) for number in ignored} == {signal.SIG_IGN}
    finally:
        leave_alone()
        for number, handler in before.items():
            signal.signal(number, handler)


def test_nobody_listens_where_a_signal_was_ignored_or_given_up() -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        listen()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        leave_alone()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        assert stopped() is None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_what_fails_because_of_the_signal_is_not_why_a_run_ended(tmp_path: Path, stop: Stop) -> None:
    def fail() -> None:
        with pytest.raises(Stopped):
            stop(signal.SIGTERM, None)
        raise RuntimeError("the workers are gone")

    store = Store(tmp_path)
    with pytest.raises(RuntimeError), recorded(store, record("a")):
        fail()
    found = runs.load(store, "a")
    assert (found["status"], found["error"]) == ("interrupted", "stopped from outside (SIGTERM)")


def test_an_interrupted_run_is_kept_until_one_of_its_recipe_has_finished(tmp_path: Path) -> None:
    from datetime import timedelta

    store = Store(tmp_path)
    for run, status in (("a", "interrupted"), ("b", "failed")):
        store.write(f"fits/{run}/checkpoint.safetensors", b"steps")
        runs.save(store, run, begun(run) | OLD | {"status": status, "fit": run, "error": "stopped"})
    gone = collect(store.url, timedelta(days=1), delete=True)
    assert (gone.runs, gone.fits) == (("b",), ("b",))
    assert store.exists("fits/a/checkpoint.safetensors")
    runs.save(store, "c", begun("c") | OLD | {"status": "finished"})
    assert collect(store.url, timedelta(days=1)).runs == ("a",)


@pytest.mark.parametrize("name", ["u.nc", "u.zarr"])
def test_a_prediction_that_is_stopped_while_it_is_written_leaves_nothing(tmp_path: Path, stop: Stop, name: str) -> None:
    def interrupted(block: np.ndarray) -> np.ndarray:
        stop(signal.SIGINT, None)
        return block

    values = dask.array.zeros((4, 4), chunks=2).map_blocks(interrupted, dtype=float, meta=np.empty(0))
    with pytest.raises(Stopped), dask.config.set(scheduler="synchronous"):
        write_file(xr.Dataset({"u": (("sample", "x"), values)}), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["zarr", "netcdf"])
def test_an_export_that_is_stopped_leaves_nothing(
    tiny_store: tuple[Path, object], tmp_path: Path, stop: Stop, form: str
) -> None:
    def interrupted(done: int, total: int) -> None:
        assert 0 < done < total
        assert [entry.name.startswith(".tiny") for entry in tmp_path.iterdir()] == [True]
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped):
        export(Store(tiny_store[0]), "tiny@v1", tmp_path / "tiny", form, report=interrupted)
    assert list(tmp_path.iterdir()) == []
