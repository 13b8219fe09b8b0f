"""`ritz serve` of one recipe, started, killed and asked from outside."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ritz.flows.server.api import ServerError, own_key
from ritz.storage import runs
from ritz.storage.store import Store
from tests.command import RITZ, SMALL, ritz, started
from tests.faults.processes import children
from tests.patience import until
from tests.served import Server

ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
"""Types of the last state of a flow run."""


@dataclass(frozen=True)
class Service(Server):
    """`ritz serve` of the recipe, with a server of its own and its database in `home`."""

    home: Path
    recipe: str = SMALL

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PREFECT_HOME": str(self.home)}

    @contextmanager
    def serving(self) -> Iterator[psutil.Process]:
        arguments = ["serve", "--recipe", self.recipe, "--port", str(self.port), "--store", str(self.store)]
        with (
            self.log.open("a") as log,
            started(RITZ, *arguments, stdout=log, stderr=log, env=self.environment) as process,
        ):
            yield psutil.Process(process.pid)

    def trigger(self, *arguments: str) -> dict[str, Any]:
        """Ask for a run as soon as it can be asked for."""
        command = ["trigger", self.recipe, "--port", str(self.port), "--json", *arguments]

        def asked() -> dict[str, Any] | None:
            done = ritz(*command, timeout=600, env=self.environment)
            return json.loads(done.stdout) if done.stdout else None

        return until(asked)

    def record(self, status: str) -> dict[str, Any]:
        return until(lambda: [one for one in runs.look(Store(self.store)).good if one["status"] == status])[-1]

    def states(self) -> dict[str, str]:
        """Return the types of the states of all flow runs, by id; none while the server is away."""
        try:
            key = own_key(self.port)
            found = self.ask("POST", "flow_runs/filter", {}, key) if key else []
        except (OSError, ServerError):
            # It dies, or has not come back yet.
            return {}
        return {run["id"]: run["state_type"] for run in found}


def engines(process: psutil.Process) -> list[psutil.Process]:
    """Return the processes of the runs that a `ritz serve` has started."""
    return children(process, "prefect.engine")
