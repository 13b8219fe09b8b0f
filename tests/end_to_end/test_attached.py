"""The cluster of docs/cluster.md for its owner alone: its commands and certificates, and a run on it."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.command import SMALL, ritz

pytestmark = pytest.mark.slow

DOCS = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text(encoding="utf-8")


def _section() -> str:
    return DOCS.partition("## A Dask cluster for its owner alone")[2].partition("\n## ")[0]


def _commands(port: int) -> tuple[dict[str, str], list[list[str]]]:
    """Return the variables that the documentation sets, and its commands for scheduler and workers, on loopback."""
    lines = [line.strip() for line in _section().splitlines() if line.startswith("    ")]
    shell = [line.replace("HOST", "127.0.0.1").replace("8786", str(port)) for line in lines]
    exports = [shlex.split(line.removeprefix("export ")) for line in shell if line.startswith("export ")]
    variables = dict(pair.split("=", 1) for pairs in exports for pair in pairs)
    options = ""
    for line in shell:
        if line.startswith("T="):
            options = line[2:].strip('"').replace("$T", options)
    started = [shlex.split(line.replace("$T", options), comments=True) for line in shell if line.startswith("dask ")]
    return variables, started


@contextmanager
def _running(folder: Path, environment: dict[str, str], command: list[str]) -> Iterator[None]:
    dask = str(Path(sys.executable).with_name(command[0]))
    with (folder / "log").open("a") as log:
        process = subprocess.Popen([dask, *command[1:]], cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_a_run_on_the_encrypted_cluster_of_the_documentation(tmp_path: Path, environment: dict[str, str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (certificates,) = re.findall(r"```python\n(.*?)```", _section(), re.DOTALL)
    subprocess.run([sys.executable, "-c", certificates], cwd=tmp_path, check=True)
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("*.pem")} == dict.fromkeys(
        ("ca.pem", "cert.pem", "key.pem"), 0o600
    )
    (profile,) = re.findall(r"```yaml\n(kind: attach\n.*?)```", _section(), re.DOTALL)
    (tmp_path / "cluster.yaml").write_text(profile.replace("HOST", "127.0.0.1").replace("8786", str(port)))
    variables, (scheduler, *workers) = _commands(port)
    assert len(workers) == 2
    with ExitStack() as stack:
        for command in (scheduler, *workers):
            stack.enter_context(_running(tmp_path, {**os.environ, **variables, "PYTHONSAFEPATH": "1"}, command))
        place = ("--store", str(tmp_path / "store"), "--json")
        done = ritz("run", SMALL, *place, "--profile", "cluster.yaml", cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr + (tmp_path / "log").read_text()
        assert "is not encrypted" not in done.stderr
        assert json.loads(done.stdout)["usage"]["workers"] == 2
        other = ("--store", str(tmp_path / "other"), "--profile", f"attach:tls://127.0.0.1:{port}")
        refused = ritz("generate", SMALL, *other, env=environment)
        assert refused.returncode == 2
        assert "profile.ca: is not given" in refused.stderr
        assert "PRIVATE KEY" not in (tmp_path / "log").read_text()


def test_the_documentation_has_the_commands() -> None:
    variables, started = _commands(8786)
    assert variables["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "true"
    assert [command[1] for command in started] == ["scheduler", "worker", "worker"]
    assert all("--tls-key" in command for command in started)
