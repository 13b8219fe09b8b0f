"""PostgreSQL dies and stands still under a standing server; the runs of a pool end, and what they made is whole."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.flows.settings import SHIPPED, guarded
from ritz.storage import runs
from ritz.storage.store import Store
from tests import attached, postgres
from tests.command import SMALL, started
from tests.faults import outside
from tests.faults.blows import CONT, STOP
from tests.faults.service import ENDED
from tests.patience import until
from tests.postgres import Postgres
from tests.require import require
from tests.served import Server, free_port

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]

KEY = "ritz:key-of-the-tests"

PREFECT = str(Path(sys.executable).with_name("prefect"))

SAMPLES = 480

SEED = 17

WITHIN = 6.0
"""Most seconds from the start of a run to what befalls its database."""

ATTEMPTS = 5

AWAY = 20.0
"""Seconds that the database is away or stands still."""


@dataclass(frozen=True)
class Standing(Server):
    """A server on PostgreSQL with a worker of a process pool, seen from outside."""

    database: Postgres
    folder: Path

    def key(self) -> str:
        return KEY

    def answer(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask until there is an answer: the server has none while its database is away."""

        def answered() -> list[Any] | None:
            try:
                return [self.ask(method, path, body)]
            except HTTPError as error:
                if error.code < HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise
                return None
            except OSError:
                return None

        return until(answered)[0]

    def state(self, flow_run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.answer("GET", f"flow_runs/{flow_run}")["state"]
        return found

    def begun(self, name: str) -> str:
        """Ask for a run that makes a dataset of this name; return its id once it is at work."""
        deployment = self.answer("GET", "deployments/name/ritz/darcy")["id"]
        asked = {"parameters": {"overrides": {"name": name}}}
        run: str = self.answer("POST", f"deployments/{deployment}/create_flow_run", asked)["id"]
        until(lambda: self.state(run)["type"] in {"RUNNING", *ENDED})
        return run

    def ended(self, flow_run: str) -> dict[str, Any]:
        """Wait for the end of a run, and return its state."""
        return until(lambda: [state for state in [self.state(flow_run)] if state["type"] in ENDED])[0]


@pytest.fixture(scope="module")
def standing() -> Iterator[Standing]:
    require("postgres")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ritz-standing-")))
        database, port = stack.enter_context(postgres.serving()), free_port()
        environment = {**os.environ, **SHIPPED, **guarded(port, KEY), "PREFECT_HOME": str(folder / "prefect")}
        environment |= {"PREFECT_API_DATABASE_CONNECTION_URL": database.url, "PREFECT_CLI_COLORS": "false"}
        log = stack.enter_context((folder / "log.txt").open("w"))
        options = {"stdout": log, "stderr": log, "cwd": folder}
        stack.enter_context(
            started(PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port), env=environment, **options)
        )
        environment |= {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "PREFECT_API_AUTH_STRING": KEY}
        parts = Standing(port, folder / "store", folder / "log.txt", database, folder)
        parts.answer("GET", "admin/version")
        cluster = stack.enter_context(Local(solve=Role(count=1), train=Role(count=1)).open())
        recipe = folder / "darcy.yaml"
        text = Path(SMALL).read_text()
        assert "samples: 40," in text
        recipe.write_text(text.replace("name: small", "name: darcy").replace("samples: 40,", f"samples: {SAMPLES},"))
        bound = {"recipe": str(recipe), "store": str(parts.store), "profile": attached.profile(cluster)}
        for command in (
            ("work-pool", "create", "ritz", "--type", "process"),
            ("automation", "create", "--from-file", str(ROOT / "deployments" / "automations.yaml")),
            (
                *("--no-prompt", "deploy", "--prefect-file"),
                str(ROOT / "deployments" / "prefect.yaml"),
                "--name",
                "darcy",
            ),
        ):
            done = subprocess.run(
                [PREFECT, *command], env=environment, cwd=folder, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
        served = {"RITZ_SERVED": json.dumps({"ritz/darcy": bound}), "PREFECT_WORKER_QUERY_SECONDS": "1"}
        pool = ("--pool", "ritz", "--type", "process", "--install-policy", "never")
        stack.enter_context(started(PREFECT, "worker", "start", *pool, env=environment | served, **options))
        yield parts


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line at once, so that a schedule can be followed."""
    begun = time.monotonic()

    def tell(line: str) -> None:
        with capsys.disabled():
            print(f"{time.monotonic() - begun:6.1f} s  {line}", flush=True)

    return tell


def test_runs_end_while_their_database_dies_and_stands_still(standing: Standing, told: Any) -> None:
    drawn, digests = random.Random(SEED), []
    troubles: list[Callable[[Postgres], None]] = [killed, killed, still, killed_and_away]
    drawn.shuffle(troubles)
    for number, trouble in enumerate(troubles):
        # Another dataset each time, of the same samples.
        name = f"darcy-{number}"
        run = standing.begun(name)
        time.sleep(drawn.uniform(0, WITHIN))
        trouble(standing.database)
        for _ in range(ATTEMPTS):
            state = standing.ended(run)
            told(f"{name}, {trouble.__name__}: {state['name']}: {state['message']}")
            if state["type"] == "COMPLETED":
                break
            run = standing.begun(name)
        else:
            pytest.fail(f"not complete after {ATTEMPTS} runs; {standing.log.read_text()[-3000:]}")
        found = outside.seen(standing.store, name)
        assert (found["versions"], found["ids"]) == (["v1"], list(range(SAMPLES)))
        # How long a sample took is the one thing that two runs differ in.
        del found["digests"]["seconds"]
        digests.append(found["digests"])
    assert all(one == digests[0] for one in digests)
    assert {run["state_type"] for run in standing.answer("POST", "flow_runs/filter", {})} <= ENDED
    assert {record["status"] for record in runs.look(Store(standing.store)).good} <= {"finished", "failed"}


def killed(database: Postgres) -> None:
    """SIGKILL to PostgreSQL, which is started again at once."""
    database.kill()
    database.start()


def killed_and_away(database: Postgres) -> None:
    """SIGKILL to PostgreSQL, which is started again later."""
    database.kill()
    time.sleep(AWAY)
    database.start()


def still(database: Postgres) -> None:
    """SIGSTOP to PostgreSQL and all its connections, and SIGCONT later."""
    family = [database.process, *database.process.children(recursive=True)]
    for process in family:
        process.send_signal(STOP)
    time.sleep(AWAY)
    for process in family:
        process.send_signal(CONT)
