"""The standing parts that run without Docker: a Prefect server, the worker of a process pool, a Dask cluster, a bucket.

They run what `deployments/prefect.yaml` deploys, bound to a recipe that takes seconds and whose gate no model passes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.flows.server import database
from ritz.flows.settings import SHIPPED, guarded
from ritz.storage.datasets import Dataset
from ritz.storage.store import Store
from tests import attached, postgres
from tests.command import SMALL, started
from tests.patience import PATIENCE, until
from tests.require import require
from tests.served import Server, free_port

ROOT = Path(__file__).parents[2]

KEY = "ritz:key-of-the-tests"

PREFECT = str(Path(sys.executable).with_name("prefect"))

DEPLOYED = ("darcy", "darcy+train", "darcy+grow")


@dataclass(frozen=True)
class Standing(Server):
    """The server, seen from outside, how its clients see it, and where the runs put what they make."""

    environment: dict[str, str]
    url: str

    def key(self) -> str:
        return KEY

    def of(self, name: str) -> list[dict[str, Any]]:
        """Return the runs of a deployment, oldest first."""
        return sorted(self.flow_runs(name), key=lambda run: str(run["expected_start_time"]))


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.soak)])
def standing(request: pytest.FixtureRequest, s3: dict[str, str]) -> Iterator[Standing]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ritz-standing-")))
        port = free_port()
        environment = {**os.environ, **SHIPPED, **guarded(port, KEY), "PREFECT_HOME": str(folder / "prefect")}
        environment |= {"PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api", "PREFECT_CLI_COLORS": "false"}
        if request.param == "postgres":
            require("postgres")
            url = stack.enter_context(postgres.serving())
            environment["PREFECT_API_DATABASE_CONNECTION_URL"] = url
        else:
            (folder / "prefect").mkdir(mode=0o700)
            database.provide(folder / "prefect", database.prepared())
        log = stack.enter_context((folder / "log.txt").open("w"))

        def start(*command: str, **more: str) -> subprocess.Popen[str]:
            options = {"stdout": log, "stderr": log, "cwd": folder, "env": environment | more}
            return stack.enter_context(started(*command, **options))

        server = start(PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port))
        environment |= {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "PREFECT_API_AUTH_STRING": KEY}
        # Workers read the credentials of the bucket from the environment.
        cluster = stack.enter_context(Local(solve=Role(count=1), train=Role(count=1)).open())
        store = _bucket(s3)
        parts = Standing(port, folder, folder / "log.txt", environment, store)

        def answers() -> bool:
            assert server.poll() is None, parts.log.read_text()
            try:
                return bool(parts.ask("GET", "admin/version"))
            except OSError:
                return False

        until(answers)
        recipe = folder / "darcy.yaml"
        text = Path(SMALL).read_text().replace("name: small", "name: darcy")
        recipe.write_text(text + "gate: {relative_l2: 1.0e-6}\n")
        bound = {"recipe": str(recipe), "store": store, "profile": attached.profile(cluster)}
        works: dict[str, dict[str, Any]] = {"darcy": {}, "darcy+train": {"work": "train"}}
        works["darcy+grow"] = {"work": "grow", "by": 40, "at_most": 1}
        served = {f"ritz/{name}": bound | works[name] for name in DEPLOYED}
        named = [part for name in DEPLOYED for part in ("--name", name)]
        for command in (
            ("work-pool", "create", "ritz", "--type", "process"),
            ("--no-prompt", "deploy", "--prefect-file", str(ROOT / "deployments" / "prefect.yaml"), *named),
            ("automation", "create", "--from-file", str(ROOT / "deployments" / "automations.yaml")),
        ):
            done = subprocess.run(
                [PREFECT, *command], env=environment, cwd=folder, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
        working = start(
            *(PREFECT, "worker", "start", "--pool", "ritz", "--type", "process", "--install-policy", "never"),
            RITZ_SERVED=json.dumps(served),
            PREFECT_WORKER_QUERY_SECONDS="1",
        )
        yield parts
        for process in (working, server):
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def _bucket(s3: dict[str, str]) -> str:
    from ritz.storage.backends.s3 import filesystem

    name = f"ritz-{uuid4().hex}"
    where = {"LocationConstraint": s3["AWS_REGION"]}
    filesystem().call_s3("create_bucket", Bucket=name, CreateBucketConfiguration=where)
    return f"s3://{name}/store"


def test_an_interval_schedule_fires_a_run_and_one_thing_follows_another(standing: Standing) -> None:
    deployment = standing.deployment("darcy")["id"]
    schedules = f"deployments/{deployment}/schedules"
    every = {"interval": 15, "anchor_date": datetime.now(UTC).isoformat(), "timezone": "UTC"}
    [schedule] = standing.ask("POST", schedules, [{"schedule": every, "active": True}])  # type: ignore[arg-type]
    until(lambda: [run for run in standing.of("darcy") if run["state_type"] in ("PENDING", "RUNNING", "COMPLETED")])
    # One is enough.
    standing.ask("PATCH", f"{schedules}/{schedule['id']}", {"active": False})
    scheduled = until(lambda: [run for run in standing.of("darcy") if run["state_type"] == "COMPLETED"])[0]
    assert scheduled["auto_scheduled"]
    assert scheduled["state"]["message"].startswith("darcy@v1, not released, relative L2 ")
    # The version that it published is trained on, and what missed the gate had the dataset grow, once.
    until(lambda: [run for run in standing.of("darcy+grow") if run["state_type"] == "COMPLETED"])
    versions = Dataset.open(Store(standing.url), "darcy").versions()
    assert [(version.version, version.samples) for version in versions] == [("v1", 40), ("v2", 80)]
    trained = until(lambda: [run for run in standing.of("darcy+train") if run["state_type"] == "COMPLETED"])
    assert trained[0]["parameters"] == {"dataset": "darcy@v1"}
    assert re.match(r"darcy@v\d+ on darcy@v1, not released, relative L2 ", trained[0]["state"]["message"])
