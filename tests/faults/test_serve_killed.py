"""`ritz serve` is killed while a run is at work, with its run and without, and is started again."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from storage import runs
from storage.store import Store
from tasks.records import VANISHED
from tests.command import RITZ, SMALL, ritz, started
from tests.patience import until


class Service:
    """`ritz serve` of the recipe `SMALL`, with a server of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])
        self.folder, self.store = folder, folder / "store"
        self.environment = os.environ | {"PREFECT_HOME": str(folder / "prefect")}

    @contextmanager
    def serving(self) -> Iterator[psutil.Process]:
        arguments = ["serve", "--recipe", SMALL, "--port", self.port, "--store", str(self.store)]
        with (
            (self.folder / "log.txt").open("a") as log,
            started(RITZ, *arguments, stdout=log, stderr=log, env=self.environment) as process,
        ):
            yield psutil.Process(process.pid)

    def trigger(self, *arguments: str) -> dict[str, Any]:
        """Ask for a run as soon as it can be asked for."""
        command = ["trigger", SMALL, "--port", self.port, "--json", *arguments]

        def asked() -> dict[str, Any] | None:
            done = ritz(*command, timeout=600, env=self.environment)
            return json.loads(done.stdout) if done.stdout else None

        return until(asked)

    def record(self, status: str) -> dict[str, Any]:
        return until(lambda: [one for one in runs.list_runs(Store(self.store)) if one["status"] == status])[-1]


def engines(process: psutil.Process) -> list[psutil.Process]:
    """Return the processes of the runs that a `ritz serve` has started."""
    return [child for child in process.children() if "prefect.engine" in child.cmdline()]


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("with_its_run", [True, False], ids=["serve and its run", "serve alone"])
def test_a_killed_service_goes_on_when_it_is_started_again(tmp_path: Path, with_its_run: bool) -> None:
    service = Service(tmp_path)
    with service.serving() as process:
        service.trigger("--set", "training.seed=1")
        first = service.record("running")
        # Its run is in the group that is killed below, unless it is let go on.
        [run] = engines(process)
        process.kill()
        process.wait()
        if with_its_run:
            run.kill()
        with service.serving():
            second = service.trigger("--set", "training.seed=2", "--wait")
            assert second["state"] == "Completed", second
            if with_its_run:
                assert runs.load(Store(service.store), first["run"])["error"] == VANISHED
            else:
                assert service.record("finished")["run"] == second["run"]
                assert runs.load(Store(service.store), first["run"])["status"] == "finished"
            again = service.trigger("--set", "training.seed=1", "--wait")
            assert again["state"] == "Completed", again
