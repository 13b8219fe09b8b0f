from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import psutil
import pytest

from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.flows.server.api import own_key
from ritz.storage import runs
from ritz.storage.store import Store
from ritz.tasks.documents.records import VANISHED, run_lock
from ritz.tasks.parsing.overrides import assignments
from tests import attached
from tests.command import RITZ, SMALL, inside, ritz, started
from tests.patience import PATIENCE, until
from tests.served import Server, free_port

pytestmark = pytest.mark.slow


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        # The workers of its cluster inherit it.
        return process.environ() if "prefect.engine" in process.cmdline() else {}
    except psutil.Error:
        return {}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`ritz serve` with its own Prefect server, for one recipe every few seconds and two of one name on demand."""
    folder = tmp_path_factory.mktemp("serve")
    ticking = folder / "ticking.yaml"
    ticking.write_text(Path(SMALL).read_text().replace("name: small", "name: ticking") + "schedule: {every: PT20S}\n")
    twin = folder / "twin.yaml"
    twin.write_text(Path(SMALL).read_text())
    server = Server(free_port(), folder / "store", folder / "log.txt")
    recipes = ["--recipe", SMALL, "--recipe", str(ticking), "--recipe", str(twin)]
    where = ["--port", str(server.port), "--store", str(server.store)]
    with (
        Local(solve=Role(count=1), train=Role(count=1)).open() as cluster,
        (folder / "log.txt").open("w") as log,
        started(
            # As a script starts it in the background: a shell lets it ignore interrupts then.
            *("sh", "-c", 'trap "" INT; exec "$0" "$@"', RITZ, "serve", *recipes, *where),
            *("--profile", attached.profile(cluster)),
            stdout=log,
            stderr=log,
            env=os.environ | {"PREFECT_HOME": str(folder / "prefect")},
        ) as process,
    ):
        until(lambda: process.poll() is not None or own_key(server.port))
        until(lambda: process.poll() is not None or len(server.ask("POST", "deployments/filter", {})) == 3)
        assert process.poll() is None, (folder / "log.txt").read_text()
        yield server
        before = len((folder / "log.txt").read_text())
        process.send_signal(signal.SIGTERM)
        # A run may be at work, which ends in order first.
        assert process.wait(PATIENCE) == 0
        assert "Traceback" not in (folder / "log.txt").read_text()[before:]


def test_a_scheduled_run_completes_and_shows_its_work(served: Server) -> None:
    done = until(lambda: [run for run in served.flow_runs("ticking") if run["state_type"] == "COMPLETED"])[0]
    served.ask("PATCH", f"deployments/{served.deployment('ticking')['id']}", {"paused": True})
    assert done["auto_scheduled"]
    assert served.seeds("ticking") == [0]

    found = served.ask("POST", "artifacts/filter", {"flow_runs": {"id": {"any_": [done["id"]]}}})
    artifacts = {artifact["key"]: artifact for artifact in found if artifact["key"]}
    # Passes over samples show how far they are where they last, as on a busy machine.
    lasting = {"ritz-ticking-evaluate", "ritz-ticking-quantify"}
    assert {key: artifact["type"] for key, artifact in artifacts.items() if key not in lasting} == {
        "ritz-ticking-solve": "progress",
        "ritz-ticking-train": "progress",
        "ritz-ticking-summary": "table",
        "ritz-ticking-report": "markdown",
    }
    assert artifacts["ritz-ticking-solve"]["data"] == artifacts["ritz-ticking-train"]["data"] == 100
    table = json.loads(artifacts["ritz-ticking-summary"]["data"])
    assert len(table) == 11
    assert table[0] == {"what": "dataset", "value": "ticking@v1, 40 samples"}
    report = artifacts["ritz-ticking-report"]["data"]
    [record] = [record for record in runs.look(Store(served.store)).good if record["recipe"]["name"] == "ticking"]
    assert f"({Path(record['paths']['report']).as_uri()}#samples)" in report
    # Its pictures are in the report, and one small one in the database.
    assert report.count("](data:image/png;base64,") == 1
    assert sum(len(json.dumps(artifact)) for artifact in found) < 40_000

    assert done["name"] == record["run"]
    assert {"recipe:ticking", "problem:darcy", "surrogate:fno"} <= set(served.deployment("ticking")["tags"])
    assert {"recipe:ticking", "dataset:ticking@v1", "model:ticking@v1"} <= set(done["tags"])
    assert done["state"]["message"].startswith("ticking@v1, not judged, relative L2 ")

    def said() -> set[str]:
        logs = served.ask("POST", "logs/filter", {"logs": {"flow_run_id": {"any_": [done["id"]]}}})
        lines = {line["message"] for line in logs}
        return lines if any(line.startswith("report: ") for line in lines) else set()

    assert "solve: 40 of 40" in until(said)


def test_a_triggered_run_has_its_changed_value_and_a_second_one_waits(served: Server) -> None:
    trigger = ["trigger", SMALL, "--set", "training.seed=7", "--wait", "--json", "--port", str(served.port)]
    with started(RITZ, *trigger) as process:
        # From Pending on it holds the one place of its recipe.
        [first] = until(lambda: [run for run in served.flow_runs("small") if run["state_type"] != "SCHEDULED"])
        second = ritz("trigger", SMALL, "--set", "training.seed=9", "--port", str(served.port))
        assert second.returncode == 0, second.stderr
        waits = re.fullmatch(r"ritz: flow run (\S+) waits for run (\S+) of ritz/small to end\n", second.stderr)
        assert waits
        assert second.stdout == f"flow run {waits[1]}: Scheduled\n"
        stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, stderr
    told = json.loads(stdout)
    [record] = [record for record in runs.look(Store(served.store)).good if record["run"] == told["run"]]
    assert told == {
        "flow_run": first["id"],
        "name": record["run"],
        "state": "Completed",
        "message": f"small@v1, not judged, relative L2 {told['relative_l2']:.4g}; report: {told['report']}",
        "waits_for": None,
        "run": record["run"],
        "model": "small@v1",
        "relative_l2": record["metrics"]["relative_l2"]["mean"],
        "release": "not judged",
        "released": True,
        "report": record["paths"]["report"],
    }
    assert Path(told["report"]).is_file()
    assert served.end(waits[1])["type"] == "COMPLETED"
    assert served.seeds("small") == [7, 9]
    # Both runs had the same terminal.
    said = served.log.read_text()
    assert all(f"{record['run']} | report: {record['paths']['report']}" in said for record in served.records("small"))


def test_a_trigger_that_waits_ends_with_model_error_and_report(served: Server) -> None:
    done = ritz("trigger", SMALL, "--set", "training.seed=7", "--wait", "--port", str(served.port))
    [record] = [record for record in served.records("small") if record["recipe"]["training"]["seed"] == 7]
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"flow run \S+: Completed\n"
        f"run    {record['run']}\nmodel  small@v1, not judged\n"
        f"error  {record['metrics']['relative_l2']['mean']:.4g} mean relative L2\nreport {record['paths']['report']}\n",
        done.stdout,
    )


def test_a_trigger_that_waits_says_how_a_run_failed(served: Server) -> None:
    # The name of a deployment is enough; what is asked of a recipe that is not known here, the run checks.
    done = ritz("trigger", "twin", "--set", "training.batch_size=-1", "--wait", "--port", str(served.port))
    assert done.returncode == 1, done.stderr
    assert re.match(r"flow run \S+: Failed: .*training\.batch_size: Input should be greater", done.stdout)


def test_a_run_whose_process_is_killed_ends_and_the_next_one_starts(served: Server) -> None:
    dead = served.start("small", {"overrides": {"training.seed": 11}})
    until(lambda: served.records("small", "running"))
    [process] = [one for one in psutil.process_iter() if _environment(one).get("PREFECT__FLOW_RUN_ID") == dead]
    process.kill()
    state = served.end(dead)
    assert state["type"] == "CRASHED"
    [record] = until(lambda: served.records("small", "failed"))
    assert record["error"] == VANISHED
    assert served.end(served.start("small", {"overrides": {"training.seed": 7}}))["type"] == "COMPLETED"


def test_a_run_that_finds_its_dataset_in_use_is_cancelled(served: Server) -> None:
    before = runs.look(Store(served.store)).good
    with Store(served.store).lock(run_lock("small"), "run of 'small'"):
        late = [served.start("twin", {}), served.start("ticking", {"overrides": {"name": "small"}})]
        for state in map(served.end, late):
            assert state["type"] == "CANCELLED"
            assert f"run of 'small' in {served.store} is in use by process {os.getpid()} on " in state["message"]
    assert runs.look(Store(served.store)).good == before


def test_a_run_asked_for_over_rest_has_its_changed_value(served: Server) -> None:
    # The run with this seed is finished; one with the seed of the recipe would add its own record.
    assert served.end(served.start("small", {"overrides": {"training.seed": 7}}))["type"] == "COMPLETED"
    assert served.seeds("small") == [7, 9]


def test_a_bad_value_over_rest_fails_before_any_work_and_is_named(served: Server) -> None:
    before = sorted(served.store.rglob("*"))
    state = served.end(served.start("small", {"overrides": {"training.batch_size": -1}}))
    assert state["type"] == "FAILED"
    assert "training.batch_size: Input should be greater than or equal to 1 (got -1)" in state["message"]
    assert sorted(served.store.rglob("*")) == before


def test_what_a_command_refuses_a_run_over_rest_is_refused_for_in_the_same_line(served: Server) -> None:
    changes: list[dict[str, Any]] = [{"problem.shap": [8, 8]}, {"problem": {"kind": "plate", "cells": 8}}]
    states = [served.start("small", {"overrides": overrides}) for overrides in changes]
    for overrides, state in zip(changes, map(served.end, states), strict=True):
        done = inside("run", SMALL, *assignments(overrides), "--store", str(served.store))
        assert (done.returncode, state["type"]) == (2, "FAILED")
        assert state["message"].endswith(done.stderr.splitlines()[-1].removeprefix("ritz: "))


@pytest.mark.parametrize(
    "parameters",
    [{"profile": "attach:tcp://127.0.0.1:9"}, {"store": "/tmp/theirs"}, {"recipe": "darcy"}, {"command": []}],
    ids=lambda parameters: next(iter(parameters)),
)
def test_a_caller_gives_overrides_alone(served: Server, parameters: dict[str, Any]) -> None:
    assert set(served.deployment("small")["parameter_openapi_schema"]["properties"]) == {"overrides"}
    assert set(served.deployment("small")["parameters"]) == {"overrides"}
    before = len(served.flow_runs("small"))
    with pytest.raises(HTTPError) as caught:
        served.start("small", {"overrides": {"training.seed": 7}, **parameters})
    assert caught.value.code == 409
    assert "Additional properties are not allowed" in caught.value.read().decode()
    assert len(served.flow_runs("small")) == before


def test_the_code_of_a_run_is_not_the_server_s_to_name(served: Server, tmp_path: Path) -> None:
    code, mark = tmp_path / "theirs.py", tmp_path / "mark"
    code.write_text(
        f"from pathlib import Path\nfrom prefect import flow\nPath({str(mark)!r}).touch()\n@flow\ndef go(**_): ..."
    )
    step = {"prefect.deployments.steps.run_shell_script": {"script": f"touch {mark}"}}
    changes = {"entrypoint": f"{code}:go", "pull_steps": [step]}
    served.ask("PATCH", f"deployments/{served.deployment('small')['id']}", changes)
    assert served.deployment("small")["entrypoint"] == changes["entrypoint"]
    assert served.end(served.start("small", {"overrides": {"training.seed": 7}}))["type"] == "COMPLETED"
    assert not mark.exists()


def test_a_parameter_of_the_wrong_type_is_refused_by_the_server(served: Server) -> None:
    with pytest.raises(HTTPError) as caught:
        served.start("small", {"overrides": 3})
    assert caught.value.code == 409
    assert "overrides" in caught.value.read().decode()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([SMALL, "--set", "training.batch_size=-1"], "training.batch_size: Input should be greater than or equal to 1"),
        (["darcy"], "does not serve recipe 'darcy'; start `ritz serve --recipe darcy`"),
        (["nobody"], "does not serve it; it serves small, ticking, twin"),
    ],
)
def test_a_bad_trigger_is_refused_and_starts_nothing(served: Server, arguments: list[str], said: str) -> None:
    before = len(served.ask("POST", "flow_runs/filter", {}))
    done = ritz("trigger", *arguments, "--port", str(served.port))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert len(served.ask("POST", "flow_runs/filter", {})) == before


def test_another_file_of_a_served_name_starts_nothing(served: Server, tmp_path: Path) -> None:
    other = tmp_path / Path(SMALL).name
    other.write_text(Path(SMALL).read_text().replace("samples: 40", "samples: 48"))
    done = ritz("trigger", str(other), "--port", str(served.port))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"serves another recipe as ritz/small than the file '{other}'" in done.stderr
