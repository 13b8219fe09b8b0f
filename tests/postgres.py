"""A PostgreSQL server for the tests, as a process of its own without rights: Debian's, found where Debian has it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.served import free_port


def found() -> Path | None:
    """Return the folder of the newest server on this machine, None without one."""
    there = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return there[-1].parent if there else None


@dataclass(frozen=True)
class Postgres:
    """A server on the loopback interface, and the URL of a database on it, for Prefect."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://prefect@127.0.0.1:{self.port}/prefect"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def process(self) -> psutil.Process:
        """The server, whose connections are its children."""
        return psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))

    def start(self) -> None:
        """Start it, also after a crash: it then recovers what was committed."""
        listening = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        self.call(
            "pg_ctl",
            "-D",
            str(self.data),
            "-l",
            str(self.folder / "log"),
            "-w",
            "-o",
            f"{listening} -c fsync=off",
            "start",
        )

    def kill(self) -> None:
        """Kill the server with all its connections, as the kernel does where memory runs out."""
        family = [*self.process.children(recursive=True), self.process]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=30)

    def call(self, program: str, *arguments: str) -> None:
        """Run a program of PostgreSQL. As root it refuses to work: then it runs as ``postgres``."""
        programs = found()
        assert programs is not None
        alone = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*alone, str(programs / program), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout


@contextmanager
def serving() -> Iterator[Postgres]:
    """Run a server meanwhile, with a database that every user of this machine may use."""
    folder = Path(tempfile.mkdtemp(prefix="ritz-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    server = Postgres(folder, free_port())
    server.call("initdb", "-D", str(server.data), "-A", "trust", "-U", "prefect", "--no-sync")
    server.start()
    try:
        server.call("createdb", "-h", "127.0.0.1", "-p", str(server.port), "-U", "prefect", "prefect")
        yield server
    finally:
        server.call("pg_ctl", "-D", str(server.data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)
