"""What `ritz trigger` finds on a server, and what it says before a run has ended; with a real server, and no runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.states import Cancelled, Pending, Running

from ritz.flows.naming import PREFIX
from ritz.flows.serving.trigger import _ended, trigger
from ritz.flows.settings import AUTH, URL
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.recipes import RecipeError, load
from tests.command import SMALL
from tests.served import client_of


@pytest.fixture
def client(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncPrefectClient]:
    for name in (URL, AUTH):
        monkeypatch.setenv(name, environment[name])
    with client_of(environment), get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def recipe(tmp_path: Path) -> tuple[str, Pipeline]:
    """A recipe of a name of its own, and its path."""
    path = tmp_path / f"file-{uuid4().hex}.yaml"
    path.write_text(Path(SMALL).read_text().replace("name: small", f"name: name-{uuid4().hex}"))
    return str(path), load(str(path))


def serve(client: SyncPrefectClient, name: str, version: str) -> UUID:
    @flow(name="ritz")
    def nothing(overrides: dict[str, object] | None = None) -> None: ...

    return client.create_deployment(client.create_flow(nothing), name, version=version)


def ask(path: str, pipeline: Pipeline | None) -> tuple[dict[str, object], list[str]]:
    said: list[str] = []
    return trigger(path, pipeline, {}, 0, False, said.append).document(), said


def test_the_name_of_a_recipe_finds_its_deployment_and_else_that_of_its_file(
    client: SyncPrefectClient, recipe: tuple[str, Pipeline]
) -> None:
    path, pipeline = recipe
    file = serve(client, Path(path).stem, pipeline.identity)
    by_file, _ = ask(path, pipeline)
    assert client.read_flow_run(UUID(str(by_file["flow_run"]))).deployment_id == file
    # Another recipe of the same name is served under it.
    other = serve(client, pipeline.name, "another")
    assert client.read_flow_run(UUID(str(ask(path, pipeline)[0]["flow_run"]))).deployment_id == file
    assert client.read_flow_run(UUID(str(ask(pipeline.name, None)[0]["flow_run"]))).deployment_id == other


def test_another_recipe_of_the_name_is_not_started(client: SyncPrefectClient, recipe: tuple[str, Pipeline]) -> None:
    path, pipeline = recipe
    serve(client, pipeline.name, "another")
    with pytest.raises(RecipeError, match=f"serves another recipe as ritz/{pipeline.name} than the file '{path}'"):
        ask(path, pipeline)


def test_what_is_not_served_is_said(client: SyncPrefectClient, recipe: tuple[str, Pipeline]) -> None:
    path, pipeline = recipe
    with pytest.raises(RecipeError, match=f"does not serve recipe '{path}'; start `ritz serve --recipe {path}`"):
        ask(path, pipeline)
    served = f"served-{uuid4().hex}"
    serve(client, served, "1")
    with pytest.raises(RecipeError, match="recipe 'nobody' is unknown: it is not shipped") as caught:
        ask("nobody", None)
    assert served in str(caught.value).partition("it serves ")[2].split(", ")


def test_a_run_that_has_to_wait_says_for_whom(client: SyncPrefectClient, recipe: tuple[str, Pipeline]) -> None:
    path, pipeline = recipe
    serve(client, pipeline.name, pipeline.identity)
    first, said = ask(path, pipeline)
    assert (first["state"], first["waits_for"], first["model"]) == ("Scheduled", None, None)
    # Nobody serves here.
    assert said == [f"no process has asked for runs of ritz/{pipeline.name} lately; is `ritz serve` at work?"]
    client.set_flow_run_state(UUID(str(first["flow_run"])), Pending())
    client.set_flow_run_state(UUID(str(first["flow_run"])), Running())
    second, said = ask(path, pipeline)
    assert second["waits_for"] == first["name"]
    assert said[0] == (f"flow run {second['flow_run']} waits for run {first['name']} of ritz/{pipeline.name} to end")


def test_the_end_of_a_run_has_its_last_name_and_what_it_came_to(
    client: SyncPrefectClient, recipe: tuple[str, Pipeline]
) -> None:
    path, pipeline = recipe
    serve(client, pipeline.name, pipeline.identity)
    run = UUID(str(ask(path, pipeline)[0]["flow_run"]))
    client.update_flow_run(run, name="its-last-name")
    client.update_flow_run_labels(run, {f"{PREFIX}model": "small@v1"})
    client.set_flow_run_state(run, Cancelled(message="in use"), force=True)
    ended = _ended(run, "url")
    assert (ended.name, ended.labels[f"{PREFIX}model"]) == ("its-last-name", "small@v1")
    assert ended.state is not None
    assert ended.state.message == "in use"
