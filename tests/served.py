"""A running `ritz serve`, seen from outside."""

from __future__ import annotations

import json
import socket
import time
from base64 import b64encode
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from ritz.flows.server.api import own_key
from ritz.storage import runs
from ritz.storage.store import Store
from tests.patience import until


@dataclass(frozen=True)
class Server:
    """A running `ritz serve`, seen from outside."""

    port: int
    store: Path
    log: Path

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def key(self) -> str:
        """Return the key that this user's commands find."""
        key = own_key(self.port)
        assert key is not None
        return key

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, key: str | None = None) -> Any:
        """Call the REST API of Prefect; as its clients do, again while its database is busy."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.origin}/api/{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Basic {b64encode((key or self.key()).encode()).decode()}")
        if method != "GET":
            request.add_header("Prefect-Csrf-Token", self.ask("GET", "csrf-token?client=tests", key=key)["token"])
            request.add_header("Prefect-Csrf-Client", "tests")
        try:
            with urlopen(request, timeout=30) as response:
                content = response.read()
        except HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            time.sleep(1)
            return self.ask(method, path, body, key)
        return json.loads(content) if content else None

    def deployment(self, name: str) -> dict[str, Any]:
        return self.ask("GET", f"deployments/name/ritz/{name}")

    def start(self, name: str, parameters: dict[str, Any]) -> str:
        """Create a flow run without asking anybody; return its id."""
        deployment = self.deployment(name)["id"]
        return self.ask("POST", f"deployments/{deployment}/create_flow_run", {"parameters": parameters})["id"]

    def flow_runs(self, name: str) -> list[dict[str, Any]]:
        return self.ask("POST", "flow_runs/filter", {"deployments": {"name": {"any_": [name]}}})

    def end(self, flow_run: str) -> dict[str, Any]:
        """Wait for the end of a flow run and return its last state."""
        ended = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        return until(
            lambda: [state for state in [self.ask("GET", f"flow_runs/{flow_run}")["state"]] if state["type"] in ended]
        )[0]

    def records(self, name: str, status: str = "finished") -> list[dict[str, Any]]:
        """Return the records of the runs of a recipe, oldest first."""
        found = [record for record in runs.look(Store(self.store)).good if record["status"] == status]
        return [record for record in found if record["recipe"]["name"] == name]

    def seeds(self, name: str) -> list[int]:
        """Return the training seeds in the records of the finished runs of a recipe, oldest first."""
        return [record["recipe"]["training"]["seed"] for record in self.records(name)]


def client_of(environment: Mapping[str, str]) -> AbstractContextManager[Any]:
    """Ask the server that an environment names, with its key, from this process meanwhile."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    key = environment["PREFECT_API_AUTH_STRING"]
    return temporary_settings({PREFECT_API_URL: environment["PREFECT_API_URL"], PREFECT_API_AUTH_STRING: key})


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
