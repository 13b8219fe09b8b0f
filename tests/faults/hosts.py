"""The cluster of docs/cluster.md with scheduler and workers on hosts of their own, which can be cut off."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml
from distributed import Security

from tests.command import started
from tests.faults.network import Host, joined
from tests.faults.processes import alive

DASK = str(Path(sys.executable).with_name("dask"))

PORT = 8786

AGAIN = 'while :; do echo "begun: $*"; "$@"; sleep 1; done'
"""A shell that starts a command again whenever it ends, as systemd, Compose and Kubernetes do."""

FLAGS = {"ca": "--tls-ca-file", "cert": "--tls-cert", "key": "--tls-key"}

CONFIGURED = {
    "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "20",
    "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": "[]",
    "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": "[]",
}


@dataclass(frozen=True)
class Hosts:
    """A running cluster.

    Attributes
    ----------
    folder
        Where ``cluster.yaml`` lies, and the output of every part.
    by_name
        The hosts: ``scheduler``, the workers, and others that were asked for.
    shells
        Of every part, what starts it again.
    """

    folder: Path
    by_name: Mapping[str, Host]
    shells: Mapping[str, psutil.Process]

    @property
    def profile(self) -> str:
        return str(self.folder / "cluster.yaml")

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.txt").read_text()

    def begun(self, name: str) -> int:
        """Return how often a part was started so far."""
        return self.log(name).count("begun: ")

    def processes(self, name: str) -> list[psutil.Process]:
        """Return the live processes of a part: of a worker Dask's nanny and, last, the worker itself."""
        found = []
        for process in self.shells[name].children(recursive=True):
            try:
                words = process.cmdline()
            except psutil.NoSuchProcess:
                continue
            if alive(process) and words[:1] != ["sleep"] and not any("resource_tracker" in word for word in words):
                found.append(process)
        return found


@contextmanager
def standing(
    folder: Path,
    workers: Mapping[str, str],
    others: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Hosts]:
    """Run a scheduler and workers, each on a host of its own, and start again what ends.

    Parameters
    ----------
    folder
        For the certificates, the profile ``cluster.yaml`` and the output.
    workers
        Roles of the workers by name.
    others
        Further hosts.
    environment
        Beside that of this process.
    """
    folder.mkdir(exist_ok=True)
    made = Security.temporary()
    for name, text in ("ca", made.tls_ca_file), ("cert", made.tls_client_cert), ("key", made.tls_client_key):
        (folder / f"{name}.pem").touch(0o600)
        (folder / f"{name}.pem").write_text(text)
    files = {name: str(folder / f"{name}.pem") for name in FLAGS}
    options = [word for name, file in files.items() for word in (FLAGS[name], file)]
    options += ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    variables = os.environ | CONFIGURED | {"PYTHONSAFEPATH": "1"} | dict(environment or {})
    with joined("scheduler", *workers, *others) as (_, hosts), ExitStack() as stack:
        address = f"tls://{hosts['scheduler'].address}:{PORT}"
        (folder / "cluster.yaml").write_text(
            yaml.safe_dump({"kind": "attach", "address": address, "timeout": 120, **files})
        )
        commands = {"scheduler": ["scheduler", "--port", str(PORT), "--protocol", "tls"]}
        for name, role in workers.items():
            commands[name] = ["worker", address, "--nthreads", "1", "--resources", f"{role}=1", "--name", name]
        shells = {}
        for name, command in commands.items():
            log = stack.enter_context((folder / f"{name}.txt").open("w"))
            command = [DASK, *command, "--host", hosts[name].address, *options]
            within = hosts[name].command("sh", "-c", AGAIN, "sh", *command)
            shell = stack.enter_context(started(*within, stdout=log, stderr=log, cwd=folder, env=variables))
            shells[name] = psutil.Process(shell.pid)
        yield Hosts(folder, hosts, shells)
