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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from uuid import uuid4

import pytest

from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.flows.server import database
from ritz.flows.settings import SHIPPED, guarded
from ritz.storage import runs
from ritz.storage.datasets import Dataset
from ritz.storage.store import Store
from tests import attached, postgres
from tests.browser import browsing
from tests.command import SMALL, started
from tests.patience import PATIENCE, until
from tests.require import expected, require
from tests.served import Server, free_port

ROOT = Path(__file__).parents[2]

KEY = "ritz:key-of-the-tests"

PREFECT = str(Path(sys.executable).with_name("prefect"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DEPLOYED = ("darcy", "darcy+train", "darcy+grow")


@dataclass(frozen=True)
class Standing(Server):
    """The server, seen from outside, how its clients see it, and where the runs put what they make."""

    environment: dict[str, str]
    url: str

    def key(self) -> str:
        return KEY

    def first(self, name: str) -> dict[str, Any]:
        """Wait for a run of a deployment, and return the first one."""
        return until(lambda: self.of(name))[0]

    def completed(self, name: str) -> list[dict[str, Any]]:
        """Return the runs of a deployment that have come to their end well, oldest first."""
        return [run for run in self.of(name) if run["state_type"] == "COMPLETED"]

    def of(self, name: str) -> list[dict[str, Any]]:
        """Return the runs of a deployment, oldest first."""
        return sorted(self.flow_runs(name), key=lambda run: str(run["expected_start_time"]))


DATABASES = ("postgres", "sqlite") if expected("postgres") else ("sqlite", "postgres")
"""What keeps the history of Prefect's server: the tests of every day take the first, those that last the other too."""


@pytest.fixture(scope="module", params=[DATABASES[0], pytest.param(DATABASES[1], marks=pytest.mark.soak)])
def standing(request: pytest.FixtureRequest, s3: dict[str, str]) -> Iterator[Standing]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ritz-standing-")))
        port = free_port()
        environment = {**os.environ, **SHIPPED, **guarded(port, KEY), "PREFECT_HOME": str(folder / "prefect")}
        environment |= {"PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api", "PREFECT_CLI_COLORS": "false"}
        if request.param == "postgres":
            require("postgres")
            url = stack.enter_context(postgres.serving()).url
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


def test_an_interval_schedule_fires_a_run_and_what_follows_is_started(standing: Standing) -> None:
    deployment = standing.deployment("darcy")["id"]
    schedules = f"deployments/{deployment}/schedules"
    soon = datetime.now(UTC) + timedelta(seconds=10)
    every = {"interval": 60, "anchor_date": soon.isoformat(), "timezone": "UTC"}
    [schedule] = standing.ask("POST", schedules, [{"schedule": every, "active": True}])  # type: ignore[arg-type]
    until(lambda: [run for run in standing.of("darcy") if run["state_type"] in ("PENDING", "RUNNING", "COMPLETED")])
    # One is enough.
    standing.ask("PATCH", f"{schedules}/{schedule['id']}", {"active": False})
    scheduled = until(lambda: standing.completed("darcy"))[0]
    assert scheduled["auto_scheduled"]
    assert scheduled["state"]["message"].startswith("darcy@v1, not released, relative L2 ")
    # The version that it published is to be trained on, and what missed the gate has the dataset grow.
    for name in ("darcy+train", "darcy+grow"):
        following = standing.first(name)
        assert following["parameters"] == {"dataset": "darcy@v1"}
        assert following["created_by"]["type"] == "AUTOMATION"


def test_a_run_asked_for_with_curl_as_documented_has_its_changed_value(standing: Standing) -> None:
    require("curl")
    page = (ROOT / "docs" / "service.md").read_text()
    script = page[page.index("    field() {") :].partition("\n\n")[0]
    command = ["sh", "-euc", "\n".join(line.removeprefix("    ") for line in script.splitlines())]

    def ask() -> str:
        done = subprocess.run(command, env=standing.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        run: str = json.loads(done.stdout)["id"]
        assert standing.ask("GET", f"flow_runs/{run}")["parameters"] == {"overrides": {"training.seed": 7}}
        return run

    run = ask()

    def at_work() -> bool:
        nonlocal run
        state = standing.ask("GET", f"flow_runs/{run}")["state"]
        if state["type"] == "CANCELLED":
            # The dataset may be growing.
            assert " is in use by " in state["message"]
            run = ask()
        return 7 in [record["recipe"]["training"]["seed"] for record in runs.look(Store(standing.url)).good]

    until(at_work)


def test_bad_parameters_are_refused_by_the_schema(standing: Standing) -> None:
    before = len(standing.of("darcy"))
    with pytest.raises(HTTPError) as caught:
        standing.start("darcy", {"overrides": 3})
    assert caught.value.code == 409
    assert "overrides" in caught.value.read().decode()
    assert len(standing.of("darcy")) == before


def test_the_page_of_a_run_shows_artifacts_lines_of_workers_and_a_picture(
    standing: Standing, tmp_path_factory: pytest.TempPathFactory
) -> None:
    require("chromium")
    run = standing.completed("darcy")[0]
    found = standing.ask("POST", "artifacts/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    [report] = [artifact["id"] for artifact in found if artifact["key"] == "ritz-darcy-report"]
    with browsing(tmp_path_factory.mktemp("chromium")) as page:
        page.visit(f"{standing.origin}/")
        page.until("location.pathname.includes('login') && !!document.querySelector('input')")
        page.evaluate("document.querySelector('input').focus()")
        page.type(KEY)
        page.evaluate("document.querySelector('button[type=submit], form button').click()")
        page.until("!location.pathname.includes('login')")
        page.visit(f"{standing.origin}/runs/flow-run/{run['id']}")
        page.until(f"document.body.innerText.includes({run['name']!r})")
        for line in ("solve: 40 of 40", "train worker tls://127.0.0.1:"):
            page.until(f"document.body.innerText.includes({line!r})")
        page.until(SELECT.format(tab="Artifacts"))
        for key in ("ritz-darcy-summary", "ritz-darcy-report", "ritz-darcy-solve"):
            page.until(f"document.body.innerText.toLowerCase().includes({key!r})")
        page.keep("run")
        page.visit(f"{standing.origin}/artifacts/artifact/{report}")
        page.until("[...document.images].some(one => one.src.startsWith('data:image/png') && one.naturalWidth > 100)")
        page.keep("artifact")


SELECT = """
(() => {{
    const tab = [...document.querySelectorAll("[role=tab], li.p-tab")].find(one => one.innerText.trim() == {tab!r});
    if (tab) tab.click();
    return !!tab;
}})()
"""
"""Selects a tab of a page."""


@pytest.mark.soak
def test_what_was_published_is_trained_on_and_what_missed_grows_the_dataset_up_to_its_bound(standing: Standing) -> None:
    grown = until(lambda: [run for run in standing.completed("darcy+grow") if run["state"]["name"] == "Completed"])[0]
    assert grown["state"]["message"] == "darcy@v2, 80 samples"
    # Training on the second version misses too, and the rule allows no third one.
    until(lambda: [run for run in standing.completed("darcy+grow") if run["state"]["name"] == "NotGrown"])
    versions = Dataset.open(Store(standing.url), "darcy").versions()
    assert [(version.version, version.samples) for version in versions] == [("v1", 40), ("v2", 80)]
    trained = standing.completed("darcy+train")
    assert {run["parameters"]["dataset"] for run in trained} == {"darcy@v1", "darcy@v2"}
    for run in trained:
        assert re.match(r"darcy@v\d+ on darcy@v[12], not released, relative L2 ", run["state"]["message"])
