"""Each part of a machine, fit and unfit, as `ritz doctor` sees it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from ritz.flows.server.diagnosis import ports, prefect
from ritz.tasks.doctor import devices, packages, room
from ritz.tasks.doctor.cluster import cluster
from ritz.tasks.doctor.finding import Finding
from ritz.tasks.doctor.store import store
from tests.command import inside


def _one(found: Iterable[Finding]) -> tuple[str, str]:
    [only] = found
    assert bool(only.todo) == (only.state != "ok")
    return only.state, only.said


def test_missing_and_wrong_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["numpy<1", "no-such-package>=3", "pytest", "other; extra == 'more'"]
    monkeypatch.setattr(packages, "requires", lambda _: asked)
    first = next(packages.packages())
    assert first.state == "fail"
    assert first.said.startswith("numpy 2.")
    assert first.said.endswith("(expected <1), no no-such-package>=3")


def test_releases_that_were_not_tested_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "versions.txt").write_text("# tested\nnumpy==1.0\nno-such-package==3\n")
    monkeypatch.setattr(packages, "ROOT", tmp_path)
    fit, other = packages.packages()
    assert fit.state == "ok"
    assert (other.subject, other.state) == ("releases", "warn")
    assert other.said.startswith("not as tested: numpy 2.")
    assert other.said.endswith("(expected ==1.0)")


def test_a_gpu_that_pytorch_cannot_use_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho NVIDIA H200\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    state, said = _one(devices.devices())
    assert said.startswith("NVIDIA H200")
    assert state == ("ok" if devices.built_for() else "warn")
    program.write_text("#!/bin/sh\nexit 9\n")
    assert _one(devices.devices())[0] == "ok"


def test_little_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LITTLE", 1 << 62)
    assert [one.state for one in room.disk(str(tmp_path / "no" / "store"))] == ["warn", "warn"]
    monkeypatch.setattr(room, "LEAST", 1 << 61)
    first, _ = room.disk(str(tmp_path / "no" / "store"))
    assert (first.state, first.todo) == ("fail", "make room, or name another --store")
    assert f"for the store at {tmp_path}" in first.said


def test_a_store_is_looked_at_and_not_made(tiny_store: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    access, locks = store(str(tiny_store[0]))
    assert (access.said, locks.state) == (f"{tiny_store[0]}: 1 dataset; writable", "ok")
    access, _ = store(str(tmp_path / "new"))
    assert (access.state, access.said) == ("ok", f"{tmp_path}/new: nothing yet; a run makes it; writable")
    assert list(tmp_path.iterdir()) == []
    state, said = _one(store("/proc/store"))
    assert state == "fail"
    assert said.startswith("/proc cannot be written")


def test_a_store_in_a_bucket(bucket: str) -> None:
    state, said = _one(store(bucket))
    assert (state, said) == ("ok", f"{bucket}: nothing yet; a run makes it; conditional writes hold, and so locks do")
    state, said = _one(store("s3://no-such-bucket-of-ritz/store"))
    assert state == "fail"
    assert "no-such-bucket-of-ritz" in said


def test_a_server_that_answers_and_one_that_does_not(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
            patch.setenv(name, environment[name])
        state, said = _one(prefect(4200))
        assert state == "ok"
        assert f"the server at {environment['PREFECT_API_URL']} answers, version 3." in said
        patch.setenv("PREFECT_API_AUTH_STRING", "ritz:wrong")
        state, said = _one(prefect(4200))
        assert state == "fail"
        assert "refuses the key in PREFECT_API_AUTH_STRING" in said
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    assert "no server stands" in _one(prefect(port))[1]


def test_a_port_that_is_taken_is_told() -> None:
    # What has it listens to nobody, so that a question to it is refused at once.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert _one(ports(port)) == ("warn", f"port {port} cannot be listened at (Address already in use)")
    assert _one(ports(port)) == ("ok", f"127.0.0.1 and its port {port} are free")


def test_a_cluster_that_is_there_and_ones_that_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _one(cluster("local"))[0] == "ok"
    state, said = _one(cluster("nosuch"))
    assert state == "fail"
    assert "nosuch" in said
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
    (tmp_path / "near.yaml").write_text(f"{{kind: attach, address: '{address}', timeout: 0.5}}")
    state, said = _one(cluster(str(tmp_path / "near.yaml")))
    assert state == "fail"
    assert f"no Dask scheduler answered at '{address}'" in said
    # A batch system whose commands are there and which does not answer.
    for name in ("sbatch", "squeue", "scancel"):
        (tmp_path / name).write_text("#!/bin/sh\necho no route >&2; exit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert _one(cluster("slurm")) == ("fail", "profile slurm: squeue: no route")


def test_the_command_says_all_and_ends_with_1_where_something_fails(tmp_path: Path) -> None:
    options = ("doctor", "--store", str(tmp_path / "store"))
    done = inside(*options)
    assert done.returncode == 0, done.stdout
    seen = {line.split()[1] for line in done.stdout.splitlines()}
    assert seen >= {"python", "packages", "devices", "disk", "store", "locks", "prefect", "ports", "cluster"}
    failed = inside(*options, "--profile", "nosuch", "--json")
    assert failed.returncode == 1
    assert [one["subject"] for one in json.loads(failed.stdout) if one["state"] == "fail"] == ["cluster"]
    assert not (tmp_path / "store").exists()
