from __future__ import annotations

import json

import pytest

from ritz.flows.serving import binding
from ritz.flows.serving.binding import Binding, bind, bound, served_here
from ritz.tasks.errors import RecipeError


def test_a_process_knows_the_deployments_that_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(binding.VARIABLE, "{}")
    served = {"one": Binding("darcy", "/data/ritz", "local"), "two": Binding("/a b/'own'.yaml", "s3://x/y", "local")}
    bind(served)
    assert {deployment: bound(deployment) for deployment in served} == served


def test_the_worker_of_a_pool_knows_deployments_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"recipe": "darcy", "store": "s3://x/y", "profile": "local", "work": "grow", "by": 16, "at_most": 2}
    monkeypatch.setenv(binding.VARIABLE, json.dumps({"ritz/darcy+grow": entry}))
    assert bound("id", lambda: "ritz/darcy+grow") == Binding("darcy", "s3://x/y", "local", "grow", 16, 2)
    assert not served_here("id")
    with pytest.raises(RecipeError, match="'ritz/heat' is not served by this process"):
        bound("id", lambda: "ritz/heat")


@pytest.mark.parametrize("text", ["no JSON", "[1]", '{"id": {"recipe": "darcy"}}', '{"id": 3}'])
def test_a_table_that_is_none_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(binding.VARIABLE, text)
    with pytest.raises(
        RecipeError, match=f"{binding.VARIABLE}: .* is no table of deployments .*; expected a JSON object"
    ):
        bound("id")


@pytest.mark.parametrize("deployment", ["another", None])
def test_no_other_deployment_is_run(deployment: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(binding.VARIABLE, raising=False)
    with pytest.raises(RecipeError, match=f"deployment {deployment!r} is not served by this process"):
        bound(deployment)
