from __future__ import annotations

import pytest

from ritz.flows.serving import binding
from ritz.flows.serving.binding import Binding, bind, bound
from ritz.tasks.errors import RecipeError


def test_a_process_knows_the_deployments_that_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(binding.VARIABLE, "{}")
    served = {"one": Binding("darcy", "/data/ritz", "local"), "two": Binding("/a b/'own'.yaml", "s3://x/y", "local")}
    bind(served)
    assert {deployment: bound(deployment) for deployment in served} == served


@pytest.mark.parametrize("deployment", ["another", None])
def test_no_other_deployment_is_run(deployment: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(binding.VARIABLE, raising=False)
    with pytest.raises(RecipeError, match=f"deployment {deployment!r} is not served by this process"):
        bound(deployment)
