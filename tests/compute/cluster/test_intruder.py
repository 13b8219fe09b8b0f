"""What another user of the machine gets from a local cluster: nothing."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import psutil
import pytest

from ritz.compute.cluster.dask_settings import scratch
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from tests.compute.cluster import intruder
from tests.compute.cluster.conftest import plain
from tests.require import require


def _listeners() -> dict[int, str]:
    """Return the ports on which this process and its children listen, and on which address."""
    this = psutil.Process()
    return {
        one.laddr.port: one.laddr.ip
        for process in (this, *this.children(recursive=True))
        for one in process.net_connections(kind="inet")
        if one.status == psutil.CONN_LISTEN
    }


def _intrude(ports: list[int]) -> dict[str, dict[str, Any]]:
    """Try ports as another user, and return what they gave away."""
    ended = subprocess.run(
        [sys.executable, intruder.__file__, *map(str, ports)], capture_output=True, text=True, timeout=200
    )
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert answer["uid"] == intruder.NOBODY
    found: dict[str, dict[str, Any]] = answer["found"]
    assert len(found) == len(ports)
    return found


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, str]]:
    """Those of a local cluster, as long as it is there; started where somebody has put modules of well-known names."""
    folder = tmp_path_factory.mktemp("shared")
    for module in ("multiprocessing", "distributed", "encodings"):
        (folder / f"{module}.py").write_text("raise SystemExit('not this one')")
    before = _listeners()
    with chdir(folder), Local(solve=Role(), train=Role()).open():
        yield {port: address for port, address in _listeners().items() if port not in before}


def test_a_local_cluster_listens_on_loopback_alone(ports: dict[int, str]) -> None:
    # Scheduler, two workers and their nannies; a port for pages, which cannot be turned off, of the first three.
    assert len(ports) == 8
    assert set(ports.values()) == {"127.0.0.1"}


def test_another_user_gets_nothing_from_any_port(ports: dict[int, str]) -> None:
    require("root")
    assert _intrude(list(ports)) == {str(port): {} for port in ports}


def test_the_same_user_gets_all_from_a_cluster_of_dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The intruder knows its trade."""
    # Its workers would take the modules that lie where this process is.
    monkeypatch.chdir(tmp_path)
    require("root")
    before = _listeners()
    with plain(n_workers=1):
        found = _intrude([port for port in _listeners() if port not in before])
    assert sorted(one["tcp"] for one in found.values() if "tcp" in one) == ["Plain", "Scheduler", "Worker"]
    assert sum("/sitemap.json" in one.get("pages", ()) for one in found.values()) == 2


def test_the_key_is_in_no_environment_argument_or_file(ports: dict[int, str]) -> None:
    this = psutil.Process()
    for process in (this, *this.children(recursive=True)):
        assert "PRIVATE KEY" not in " ".join([*process.cmdline(), *process.environ().values()])
    for file in Path(scratch()).rglob("*"):
        assert not file.is_file() or b"PRIVATE KEY" not in file.read_bytes()


@pytest.mark.parametrize("fault", ["open", "link", "link to nothing", "file", "another's"])
def test_workers_put_nothing_where_somebody_else_may_write(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first = Path(scratch())
    assert first == Path(scratch())
    assert stat.S_IMODE(first.stat().st_mode) == 0o700
    if fault == "open":
        first.chmod(0o777)
    elif fault == "link":
        first.rename(tmp_path / "theirs")
        first.symlink_to(tmp_path / "theirs")
    elif fault == "link to nothing":
        first.rmdir()
        first.symlink_to(tmp_path / "theirs")
    elif fault == "file":
        first.rmdir()
        first.touch()
    else:
        require("root")
        os.chown(first, intruder.NOBODY, intruder.NOBODY)
    with caplog.at_level("WARNING", "ritz"):
        own = Path(scratch())
    assert own != first
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert f"{first} is not a folder of this user alone" in caplog.text
