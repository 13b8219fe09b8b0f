"""Workers that compute with something else than the driver: they are named, and get no work."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ritz.compute.cluster import admission, refusals
from ritz.compute.cluster.admission import Admission, versions
from ritz.compute.cluster.attach import Attach
from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.errors import ClusterError
from ritz.compute.cluster.presence import ROLES
from ritz.compute.cluster.refusals import Refusals
from tests.compute.cluster.conftest import plain

ROOT = Path(admission.__file__).parents[2]


@pytest.fixture
def running() -> Iterator[Any]:
    """A cluster of Dask that others run, on loopback, without workers."""
    with plain(n_workers=0, resources={"solve": 1}, threads_per_worker=1) as bare:
        yield bare


@contextmanager
def _worker(address: str, name: str, path: Path) -> Iterator[None]:
    """Start a worker that finds its modules first in a folder, and end it."""
    command = (
        *(sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--name", name),
        *("--nthreads", "1", "--resources", "solve=1", "--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"),
    )
    # What is first on the path of a module that is run is the folder it is run in.
    process = subprocess.Popen(command, cwd=path, env=os.environ | {"PYTHONPATH": str(path)}, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _another_ritz(folder: Path, version: str) -> Path:
    for package in admission.SOURCES:
        shutil.copytree(ROOT / package, folder / "ritz" / package, ignore=shutil.ignore_patterns("__pycache__"))
    project = (ROOT.parent / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(project.replace(f'version = "{_ours()}"', f'version = "{version}"'))
    return folder


def _ours() -> str:
    return versions()["ritz"].partition(" ")[0]


def _another_numpy(folder: Path) -> Path:
    """Return a folder in which another version of numpy says that it is there."""
    metadata = folder / "numpy-1.0.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    return folder


def _until(what: Any, seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("name", ["ritz", "numpy"])
def test_a_worker_of_another_version_is_refused_by_name_before_any_work(
    name: str, running: Any, tmp_path: Path
) -> None:
    address, ours = running.scheduler_address, versions()[name]
    if name == "ritz":
        path = _another_ritz(tmp_path, "9.9.9")
        # The files are the same, the version is not.
        theirs = ours.replace(_ours(), "9.9.9")
    else:
        path, theirs = _another_numpy(tmp_path), "1.0"
    with _worker(address, "stale", path):
        _until(lambda: running.scheduler.workers)
        with pytest.raises(ClusterError) as refused:
            Attach(address=address).check(("solve",))
        (worker,) = running.scheduler.workers
    assert str(refused.value) == (
        f"profile.address: at {address!r} worker stale at {worker} has {name} {theirs}, expected {ours}, as this "
        "process has; start it in the same environment"
    )


def test_one_that_joins_later_is_named_and_gets_no_work_whatever_happens(
    running: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address, path = running.scheduler_address, tmp_path / "ritz"
    _another_ritz(path, _ours())
    changed = path / "ritz" / "compute" / "solvers" / "newton.py"
    changed.write_text(changed.read_text(encoding="utf-8") + "\n# one line more\n")
    running.scale(1)
    with caplog.at_level("WARNING", "ritz"), Attach(address=address).open(("solve",)) as cluster:
        (good,) = cluster.addresses("solve")
        with _worker(address, "edited", path):
            _until(lambda: "gets no work" in caplog.text)
            assert "worker edited at tcp://127.0.0.1:" in caplog.text
            assert f"has ritz {_ours()} (files " in caplog.text
            assert f", expected {versions()['ritz']}, as the driver has: it gets no work" in caplog.text
            assert len(cluster.refused("solve")) == 1
            tasks = [cluster.submit("solve", where, number) for number in range(8)]
            assert {cluster.result(task) for task in tasks} == {good}
            # Nor where there is no other: work waits for one that may have it.
            running.scale(0)
            _until(lambda: cluster.workers("solve") == 0)
            waiting = [cluster.submit("solve", where, number) for number in range(2)]
            time.sleep(1)
            assert not any(task.done() for task in waiting)
            running.scale(1)
            places = {task.result(200) for task in waiting}
            assert places == set(cluster.addresses("solve"))
            assert len(cluster.refused("solve")) == 1


def where(_: int) -> str:
    from distributed import get_worker

    return str(get_worker().address)


@pytest.mark.parametrize("name", ["python", "torch", "zarr", "scipy", "distributed"])
def test_any_version_that_matters_is_named_with_both(
    name: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The workers are as they are; it is the driver that has something else."""
    ours = versions()
    monkeypatch.setattr(refusals, "versions", lambda: ours | {name: "0.0"})
    solvers = cluster.addresses("solve")
    with caplog.at_level("WARNING", "ritz"), closing(Refusals(cluster.client, ROLES)) as other:
        _until(lambda: len(other.among(solvers)) == 2)
    assert all(f"has {name} {ours[name]}, expected 0.0" in sentence for sentence in other.among(solvers))
    assert "it gets no work" in caplog.text
    offered = cluster.known()[solvers[0]]["resources"]
    assert other.names["solve"] not in offered
    assert cluster.resources("solve").keys() <= offered.keys()


def test_what_a_worker_has_loaded_stays_when_files_change(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editable install changes under a worker: the next driver has the new files, the worker the old code."""
    file = Path(admission.__file__)
    before = file.read_bytes()

    class Changed(type(file)):  # type: ignore[misc]
        def read_bytes(self) -> bytes:
            return b"changed" if self == file else super().read_bytes()

    monkeypatch.setattr(admission, "Path", Changed)
    assert file.read_bytes() == before
    solvers = cluster.addresses("solve")
    with closing(Refusals(cluster.client, ROLES)) as other:
        _until(lambda: len(other.among(solvers)) == 2)
    assert all("has ritz" in sentence for sentence in other.among(solvers))


def test_a_build_for_another_device_is_the_same_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before, version = versions(), importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"{version(name).partition('+')[0]}+cu126")
    assert versions() == before


def test_the_check_reaches_workers_as_text() -> None:
    """Of a Ritz that lacks this file, and of a Python that does not know its code."""
    from distributed.protocol.pickle import dumps

    plugin = dumps(Admission({"ritz": "1"}, {"solve": "solve@1"}, "topic"))
    script = (
        "import sys, pickle; sys.modules['ritz'] = None; plugin = pickle.loads(sys.stdin.buffer.read());"
        "print(plugin.expected, plugin.roles, plugin.topic, type(plugin).__mro__[1].__name__)"
    )
    ended = subprocess.run([sys.executable, "-c", script], input=plugin, capture_output=True, cwd="/", timeout=120)
    assert ended.stdout.decode().strip() == "{'ritz': '1'} {'solve': 'solve@1'} topic WorkerPlugin", ended.stderr
