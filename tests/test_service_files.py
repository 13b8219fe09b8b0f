"""The files of a standing service: they are well formed, name what the code has, and hold no secret."""

from __future__ import annotations

import importlib
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.events.schemas.automations import AutomationCore
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.settings import Settings
from prefect.utilities.callables import parameter_schema
from pydantic import BaseModel, TypeAdapter

from ritz.flows.serving.automations import watched
from ritz.flows.serving.binding import Binding
from ritz.flows.serving.rules import MISSED, PUBLISHED, Grow, Train
from ritz.tasks.recipes import load, load_profile

ROOT = Path(__file__).parents[1]
PLACE = ROOT / "deployments"
CONTAINERS = PLACE / "containers"

PREFECT: dict[str, Any] = yaml.safe_load((PLACE / "prefect.yaml").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((CONTAINERS / "compose.yaml").read_text())
DEPLOYMENTS: dict[str, dict[str, Any]] = {one["name"]: one for one in PREFECT["deployments"]}
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def settings(model: type[BaseModel], prefix: str = "PREFECT_") -> set[str]:
    """Return the names of the variables that Prefect reads."""
    found = set()
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= settings(inner, f"{prefix}{name.upper()}_")
        found.add(f"{prefix}{name.upper()}")
        aliases = getattr(field.validation_alias, "choices", [])
        found |= {str(alias).upper() for alias in aliases}
    return found


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_names_a_flow_and_its_parameters(name: str) -> None:
    module, _, attribute = DEPLOYMENTS[name]["entrypoint"].partition(":")
    flow = getattr(importlib.import_module(module), attribute)
    known = set(parameter_schema(flow.fn).properties)
    assert set(DEPLOYMENTS[name].get("parameters", {})) <= known
    for trigger in DEPLOYMENTS[name].get("triggers", ()):
        assert set(trigger["parameters"]) <= known


@pytest.mark.parametrize(("name", "rule"), [("darcy+train", Train(recipe="darcy")), ("darcy+grow", None)])
def test_a_trigger_of_a_deployment_is_that_of_a_rule(name: str, rule: Train | None) -> None:
    expected = rule or Grow(recipe="darcy", by=256, at_most=4)
    [trigger] = DEPLOYMENTS[name]["triggers"]
    parsed = TypeAdapter(DeploymentEventTrigger).validate_python({"name": name, **trigger})
    assert parsed.expect == {expected.event}
    assert expected.event in (PUBLISHED, MISSED)
    assert trigger["match"] == expected.subject("darcy")
    assert trigger["parameters"] == {"dataset": "{{ event.payload.dataset }}"}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_pool_knows_the_variables_of_a_deployment(name: str) -> None:
    pool = DEPLOYMENTS[name]["work_pool"]
    kind = pool["name"].partition("-")[2] or "process"
    import prefect.server.api

    views = Path(prefect.server.api.__file__).parent / "collections_data" / "views"
    workers = json.loads((views / "aggregate-worker-metadata.json").read_text())
    [worker] = [types[kind] for types in workers.values() if kind in types]
    known = worker["default_base_job_configuration"]["variables"]["properties"]
    assert set(pool.get("job_variables", {})) <= set(known)


def test_what_is_bound_can_be_run() -> None:
    served = json.loads((CONTAINERS / "served.json").read_text())
    inline = [
        json.loads(one["work_pool"]["job_variables"]["env"]["RITZ_SERVED"])
        for one in DEPLOYMENTS.values()
        if "job_variables" in one["work_pool"]
    ]
    bound = {name: Binding(**entry) for table in (served, *inline) for name, entry in table.items()}
    assert set(bound) == {f"ritz/{name}" for name in DEPLOYMENTS}
    for binding in bound.values():
        pipeline = load(binding.recipe)
        assert binding.by is None or binding.by % pipeline.data.shard == 0
        assert binding.profile == "/etc/ritz/cluster.yaml"
    assert load_profile(str(CONTAINERS / "cluster.yaml")).kind == "attach"


def test_the_automation_of_silent_runs_is_the_one_that_a_service_makes() -> None:
    [written] = yaml.safe_load((PLACE / "automations.yaml").read_text())["automations"]
    assert AutomationCore.model_validate(written) == watched()


def test_services_hang_together() -> None:
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", ())) <= set(SERVICES), name
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"]), name
        assert {one["source"] for one in service.get("configs", ())} <= set(COMPOSE["configs"]), name
        for volume in service.get("volumes", ()):
            assert volume.partition(":")[0] in COMPOSE["volumes"], name
    for entry in COMPOSE["configs"].values():
        assert (CONTAINERS / entry["file"]).is_file()


def test_variables_of_prefect_are_ones_that_it_reads() -> None:
    names = {name for service in SERVICES.values() for name in service.get("environment", {})} | set(COMPOSE["secrets"])
    ours = {name for name in names if name.startswith("PREFECT_")}
    assert len(ours) > 8
    assert ours <= settings(Settings)


def test_ports_are_open_to_this_machine_alone() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_secrets_are_files_outside_of_image_and_repository(tmp_path: Path) -> None:
    for name, entry in COMPOSE["secrets"].items():
        assert entry == {"file": f"./secrets/{name}"}
    secret = re.compile(r"PASSWORD|SECRET|KEY|AUTH", re.IGNORECASE)
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not secret.search(name) or str(value).startswith("/run/secrets/"), name
    assert "deployments/containers/secrets" in (ROOT / ".dockerignore").read_text().split()
    assert "deployments/containers/secrets/" in (ROOT / ".gitignore").read_text().split()
    script = [sys.executable, str(CONTAINERS / "make-secrets"), str(tmp_path / "secrets")]
    subprocess.run(script, check=True)
    made = sorted((tmp_path / "secrets").iterdir())
    assert {file.name for file in made} == set(COMPOSE["secrets"])
    assert {stat.S_IMODE(file.stat().st_mode) for file in made} == {0o600}
    again = subprocess.run(script, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "has secrets already" in again.stderr


def test_the_entry_of_the_image_gives_secrets_as_variables(tmp_path: Path) -> None:
    text = (CONTAINERS / "with-secrets").read_text()
    script = tmp_path / "with-secrets"
    script.write_text(text.replace("/run/secrets", str(tmp_path / "secrets")))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "PREFECT_API_AUTH_STRING").write_text("ritz:a b$c")
    (tmp_path / "secrets" / "key.pem").write_text("-----")
    show = 'import os; print(os.environ["PREFECT_API_AUTH_STRING"], os.environ["PREFECT_SERVER_API_AUTH_STRING"])'
    command = ["sh", str(script), sys.executable, "-c", show]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    assert done.stdout == "ritz:a b$c ritz:a b$c\n"
    assert os.access(CONTAINERS / "with-secrets", os.X_OK)


def test_the_image_is_of_what_is_there() -> None:
    lines = (CONTAINERS / "Containerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY")]
    assert all((ROOT / path).exists() for paths in copied for path in paths)
    assert any(line.startswith("USER ") for line in lines)
    assert "FROM python:3.11-" in "\n".join(lines)
