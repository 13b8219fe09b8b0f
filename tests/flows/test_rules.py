"""Which rules are taken, and which automations a server then has; with a real server."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.events.worker import EventsWorker

from ritz.flows.serving import automations
from ritz.flows.serving.automations import PREFIX, Reaction, keep, started, triggers_off, watched
from ritz.flows.serving.deployments import of_rules, to_deployment
from ritz.flows.serving.events import tell_missed, tell_published
from ritz.flows.serving.rules import Grow, Train, rules
from ritz.tasks.documents.dataset import PublishedDataset
from ritz.tasks.documents.verdict import Verdict
from ritz.tasks.errors import RecipeError
from tests.command import SMALL, inside
from tests.patience import until
from tests.served import client_of


@pytest.fixture
def client(environment: dict[str, str]) -> Iterator[SyncPrefectClient]:
    with client_of(environment), get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def deployment(client: SyncPrefectClient) -> Iterator[UUID]:
    id = client.create_deployment(client.create_flow_from_name("ritz"), f"small-{uuid4().hex}")
    yield id
    client.delete_deployment(id)


def ours(client: SyncPrefectClient) -> dict[str, UUID]:
    return {one.name: one.id for one in client.read_automations() if one.name.startswith(PREFIX)}


def test_rules_are_read_with_their_bounds(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules:\n- {kind: train, recipe: a.yaml}\n- {kind: grow, recipe: darcy, by: 16, at_most: 2}\n")
    train, grow = rules(str(file))
    assert (train, grow) == (Train(recipe="a.yaml"), Grow(recipe="darcy", by=16, at_most=2))
    assert train.text("a") == "a version of dataset a is published: train a on it"
    assert grow.text("darcy").endswith("grow darcy by 16 samples, at most 2 times")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: []", "rules: "),
        ("- 1", "expected a mapping with the field `rules`, got list"),
        ("rules: [{kind: grow, recipe: darcy, by: 16}]", "at_most: this field is required"),
        ("rules: [{kind: grow, recipe: darcy, by: 0, at_most: 1}]", "by: Input should be greater than 0 (got 0)"),
        ("rules: [{kind: shrink, recipe: darcy}]", "shrink"),
        ("rules: [{kind: train, recipe: nosuch}]", "recipe 'nosuch' is unknown"),
        ("rules: [{kind: grow, recipe: darcy, by: 7, at_most: 1}]", "by is 7 for recipe 'darcy'; expected a multiple"),
        ("rules: [{kind: train, recipe: darcy}, {kind: train, recipe: darcy, dataset: x}]", "one rule of the kind"),
    ],
)
def test_a_bad_rule_is_named_before_a_server_starts(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    done = inside("serve", "--recipe", SMALL, "--rules", str(file), "--store", str(tmp_path / "store"))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert not (tmp_path / "store").exists()


def test_two_rules_do_not_get_one_deployment() -> None:
    served = of_rules([Train(recipe=SMALL), Grow(recipe=SMALL, by=8, at_most=1)], "store", "local")
    assert [one.name for one in served] == ["small+train", "small+grow"]
    assert (served[1].binding.work, served[1].binding.by, served[1].binding.at_most) == ("grow", 8, 1)
    with pytest.raises(RecipeError, match=r"would both be served as ritz/small\+train"):
        of_rules([Train(recipe=SMALL), Train(recipe=SMALL, dataset="other")], "store", "local")


def test_what_a_rule_starts_takes_the_version_of_a_dataset_alone() -> None:
    [served] = of_rules([Train(recipe=SMALL)], "store", "local")
    deployment = to_deployment(served)
    schema = deployment._parameter_openapi_schema.model_dump()
    assert set(schema["properties"]) == {"dataset"}
    assert schema["required"] == ["dataset"]
    assert schema["additionalProperties"] is False
    assert not deployment.schedules


def test_automations_are_made_once_changed_where_they_differ_and_removed(
    client: SyncPrefectClient, deployment: UUID
) -> None:
    def wanted(store: str, *rule: Train | Grow) -> list[automations.AutomationCore]:
        these = [started(Reaction(one, "small", deployment, f"ritz/small+{one.kind}"), store) for one in rule]
        return [*these, watched()]

    train, grow = Train(recipe=SMALL), Grow(recipe=SMALL, by=8, at_most=1)
    keep(client, wanted("/one", train, grow), {deployment: "small"})
    first = ours(client)
    assert set(first) == {
        "ritz: ritz.dataset.published starts ritz/small+train",
        "ritz: ritz.model.missed starts ritz/small+grow",
        "ritz: silence of a run",
    }
    keep(client, wanted("/one", train, grow), {deployment: "small"})
    assert ours(client) == first
    # A twin, as two servers of one moment would make, goes.
    client.create_automation(watched())
    keep(client, wanted("/two", train), {deployment: "small"})
    [changed] = [one for one in client.read_automations() if "published" in one.name]
    assert changed.trigger.match.root["ritz.store"] == "/two"  # type: ignore[union-attr]
    assert changed.id == first[changed.name]
    assert set(ours(client)) == {changed.name, "ritz: silence of a run"}
    assert len([one for one in client.read_automations() if one.name.startswith(PREFIX)]) == 2
    # No process serves it any more, as its status says: another `ritz serve` clears up.
    keep(client, [], {})
    assert set(ours(client)) == {"ritz: silence of a run"}


def test_a_server_says_whether_it_evaluates_triggers(client: SyncPrefectClient) -> None:
    assert not triggers_off(client)
    from ritz.flows.server.access import embedded

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_API_URL", raising=False)
        # The one of a single command evaluates none.
        with embedded("json"), client_of(os.environ), get_client(sync_client=True) as alone:
            assert triggers_off(alone)


def test_an_event_starts_what_the_rule_says_and_that_of_another_store_does_not(
    client: SyncPrefectClient, deployment: UUID, tmp_path: Path
) -> None:
    train, grow = Train(recipe=SMALL), Grow(recipe=SMALL, by=8, at_most=1)
    here = str(tmp_path)
    these = [started(Reaction(one, "small", deployment, f"ritz/small+{one.kind}"), here) for one in (train, grow)]
    keep(client, these, {deployment: "small"})
    # The server evaluates an automation from a moment after it was made.
    time.sleep(2)
    version = PublishedDataset(name="small", version="v3", snapshot="S", samples=40, splits={})
    missed = Verdict(release="missed", released=False, missed=("too bad",))
    tell_published("/another", version, "small")
    tell_published(here, version.changed(version="v4"), "small")
    tell_missed(here, "model@v1", version, Verdict(release="not judged", released=True))
    tell_missed(here, "model@v1", version.changed(version="v5"), missed)
    EventsWorker.drain_all(timeout=5)
    here_alone = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]))
    runs = until(lambda: [found for found in [client.read_flow_runs(flow_run_filter=here_alone)] if len(found) > 1])[0]
    assert sorted(run.parameters["dataset"] for run in runs) == ["small@v4", "small@v5"]
    keep(client, [], {deployment: "small"})
