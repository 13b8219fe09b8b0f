"""A PostgreSQL server for the tests, as a process of its own without rights: Debian's, found where Debian has it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.served import free_port


def found() -> Path | None:
    """Return the folder of the newest server on this machine, None without one."""
    there = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return there[-1].parent if there else None


@contextmanager
def serving() -> Iterator[str]:
    """Run a server on the loopback interface meanwhile; gives the URL of a database on it, for Prefect.

    It lets every user of this machine in, and refuses to run as root: then it runs as ``postgres``.
    """
    programs = found()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="ritz-postgres-"))
    alone: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        alone = ["runuser", "-u", "postgres", "--"]
    port, data = free_port(), folder / "data"

    def call(program: str, *arguments: str) -> None:
        command = [*alone, str(programs / program), *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout

    call("initdb", "-D", str(data), "-A", "trust", "-U", "prefect", "--no-sync")
    listening = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    call("pg_ctl", "-D", str(data), "-l", str(folder / "log"), "-w", "-o", listening, "start")
    try:
        call("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "prefect", "prefect")
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/prefect"
    finally:
        call("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)
