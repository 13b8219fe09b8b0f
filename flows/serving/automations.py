"""The automations of Prefect's server by which one run follows another, and silent runs are ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import DeploymentStatus, StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound

from ritz.flows.serving.alive import ALIVE, ENDS, SILENCE, SILENT
from ritz.flows.serving.rules import Rule

PREFIX = "ritz: "
"""Before the names of Ritz's automations; others on the server are left alone."""

TAG = "ritz"
"""What they bear beside their names."""


@dataclass(frozen=True)
class Reaction:
    """A rule with the deployment that it starts."""

    rule: Rule
    recipe: str
    """The `name` of its recipe."""
    deployment: UUID
    deployed: str
    """Name of the deployment, with that of its flow."""

    def text(self) -> str:
        """Return it in a line."""
        return f"when {self.rule.text(self.recipe)} ({self.deployed})"


def started(reaction: Reaction, store: str) -> AutomationCore:
    """Return the automation that starts a deployment after an event of a store."""
    rule = reaction.rule
    return AutomationCore(
        name=f"{PREFIX}{rule.event} starts {reaction.deployed}",
        description=reaction.text(),
        tags=[TAG],
        trigger=EventTrigger(
            expect={rule.event},
            match={**rule.subject(reaction.recipe), "ritz.store": store},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[
            RunDeployment(
                source="selected",
                deployment_id=reaction.deployment,
                parameters={"dataset": {"__prefect_kind": "jinja", "template": "{{ event.payload.dataset }}"}},
            )
        ],
    )


def watched(silence: float = SILENCE) -> AutomationCore:
    """Return the automation that ends runs which give no sign of life for ``silence`` seconds, of all deployments.

    Only served runs of Ritz give signs of life, and only of a run that gave one the next is awaited.
    """
    return AutomationCore(
        name=f"{PREFIX}silence of a run",
        description=f"a served run of Ritz that gives no sign of life for {silence:g} s ends as Crashed",
        tags=[TAG],
        trigger=EventTrigger(
            after={ALIVE},
            expect={ALIVE, *ENDS},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=silence),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=SILENT)],
    )


def keep(client: SyncPrefectClient, wanted: Iterable[AutomationCore], served: Mapping[UUID, str]) -> None:
    """Have the automations of the deployments that are served here on the server, each once, and no others of them.

    One that is there is changed only where it differs. Removed are those of deployments that are served here, by
    another rule than now, that are gone, or that no process serves any more; those of another `ritz serve` stay.

    Parameters
    ----------
    wanted
        The automations.
    served
        The deployments that are served here: id and name.
    """
    there: dict[str, list[Automation]] = {}
    for automation in client.read_automations():
        if automation.name.startswith(PREFIX) and TAG in automation.tags:
            there.setdefault(automation.name, []).append(automation)
    for asked in wanted:
        same = there.pop(asked.name, [])
        if not same:
            client.create_automation(asked)
        elif AutomationCore(**same[0].model_dump(include=set(AutomationCore.model_fields))) != asked:
            client.update_automation(same[0].id, asked)
        for twin in same[1:]:
            client.delete_automation(twin.id)
    for automation in (one for several in there.values() for one in several):
        begun = [action.deployment_id for action in automation.actions if isinstance(action, RunDeployment)]
        if any(deployment and _is_over(client, deployment, served) for deployment in begun):
            client.delete_automation(automation.id)


def triggers_off(client: SyncPrefectClient) -> bool:
    """Return whether a server says that it evaluates no triggers: automations are kept there, and never act."""
    try:
        answer = client._client.get("/admin/settings")
        services = answer.json()["server"]["services"]
    except (httpx.HTTPError, ValueError, KeyError):
        # A server that does not tell, such as Prefect's cloud.
        return False
    return services.get("triggers", {}).get("enabled") is False


def _is_over(client: SyncPrefectClient, deployment: UUID, served: Mapping[UUID, str]) -> bool:
    if deployment in served:
        return True
    try:
        return client.read_deployment(deployment).status != DeploymentStatus.READY
    except ObjectNotFound:
        return True
