"""What the deployments of `ritz serve` and of work pools run."""

from __future__ import annotations

import logging
from typing import Any

from ritz.flows.settings import prepare_prefect

prepare_prefect()  # Prefect reads its settings when it is imported.

from prefect import State, flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.events.worker import EventsWorker
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled, Completed, Failed

from ritz.flows.evaluate import evaluate
from ritz.flows.generate import generate
from ritz.flows.launch import EVENTS
from ritz.flows.naming import bear, label_flow_run, sentence
from ritz.flows.quantify import quantify
from ritz.flows.run import run
from ritz.flows.serving.alive import beating
from ritz.flows.serving.backlog import passed_over, stands_for
from ritz.flows.serving.binding import Binding, bound, served_here
from ritz.flows.serving.claims import hold
from ritz.flows.serving.events import tell_missed
from ritz.flows.train import train
from ritz.storage.errors import Busy
from ritz.storage.reading import resolve
from ritz.storage.store import Store
from ritz.tasks.documents.run import FinishedRun
from ritz.tasks.documents.verdict import RELEASES
from ritz.tasks.driver.limit import expired
from ritz.tasks.driver.signals import Stopped
from ritz.tasks.errors import RecipeError
from ritz.tasks.measuring.release import judge
from ritz.tasks.recipes import load

log = logging.getLogger("ritz")

KEPT = "committed work is kept, and the next run of the recipe goes on from there"
"""What a run says that was stopped."""

NAME = "ritz"
"""Name of the flow: the deployment of a recipe is ``ritz/RECIPE``."""


@flow(name=NAME)
def run_served(overrides: dict[str, object] | None = None, dataset: str | None = None) -> State[Any]:
    """Do what a deployment is bound to: what deployments, triggers and events start.

    Recipe, store and profile are those that `ritz serve` has bound to the deployment; a caller gives overrides, or the
    version of a dataset, alone. The lines of the run bear its name, and what it came to is kept with it. A run that
    finds its dataset in use ends as ``Cancelled``, and its message says by whom: a deployment has nobody who would
    wait.

    Parameters
    ----------
    overrides
        Dotted path of a field of the recipe → value.
    dataset
        ``NAME@VERSION``, for the deployments that a rule of `ritz.flows.serving.rules` has made.
    """
    binding = bound(deployment.id, lambda: f"{NAME}/{deployment.name}")
    if served_here(deployment.id):
        hold(flow_run.id)
    bear(flow_run.name)
    if not log.isEnabledFor(logging.INFO):
        # No terminal watches, and Prefect keeps what the stages say.
        log.setLevel(logging.INFO)
    if (last := _stands_for_this()) is not None:
        return passed_over(*last)
    try:
        with beating(flow_run.id):
            return _done(binding, overrides, dataset)
    except Busy as error:
        return Cancelled(message=str(error))
    except Stopped:
        if (reason := expired()) is None:
            raise
        return Failed(name="TimedOut", message=f"{reason}: {KEPT}")
    finally:
        EventsWorker.drain_all(timeout=EVENTS)


def _stands_for_this() -> tuple[FlowRun, FlowRun] | None:
    """Return this run and the one that stands for it, None where it is not one of a backlog.

    `ritz serve` starts none of a backlog; the worker of a pool starts all.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return None
    with get_client(sync_client=True) as client:
        other = stands_for(client, context.flow_run)
    return None if other is None else (context.flow_run, other)


def _done(binding: Binding, overrides: dict[str, object] | None, dataset: str | None) -> State[Any]:
    if binding.work == "run":
        record: FinishedRun = run.fn(binding.recipe, overrides, binding.store, binding.profile)
        label_flow_run(record)
        return Completed(message=sentence(record))
    if dataset is None:
        raise RecipeError("dataset: expected the version of a dataset, NAME@VERSION")
    if binding.work == "train":
        return _trained(binding, overrides, dataset)
    return _grown(binding, dataset)


def _trained(binding: Binding, overrides: dict[str, object] | None, dataset: str) -> State[Any]:
    """Train on a version of a dataset, measure the model there, and judge it by the gate of the recipe."""
    store, profile = Store(binding.store), binding.profile
    pipeline = load(binding.recipe, overrides, stages=(), store_url=store.url)
    made = train.fn(binding.recipe, overrides, dataset, store.url, profile)
    model, version = made.model.spec, made.dataset
    measured = evaluate.fn(model, version.spec, store.url, profile)
    quantified = quantify.fn(model, version.spec, store.url, profile)
    found = (measured.metrics, quantified.coverage, measured.baselines, quantified.shifted)
    verdict = judge(store, model, pipeline.gate, *found)
    tell_missed(store.url, model, version, verdict)
    error = measured.metrics.relative_l2.mean
    said = RELEASES[verdict.release_by({})]
    return Completed(message=f"{model} on {version.spec}, {said}, relative L2 {error:.4g}")


def _grown(binding: Binding, dataset: str) -> State[Any]:
    """Add the samples of the rule to a version of a dataset, unless that would go beyond what the rule allows."""
    assert binding.by is not None
    assert binding.at_most is not None
    pipeline, store = load(binding.recipe, stages=(), store_url=binding.store), Store(binding.store)
    version = resolve(store, dataset)
    if version.name != pipeline.name:
        raise RecipeError(f"dataset: {dataset!r} is not of recipe {binding.recipe!r}; expected {pipeline.name}@VERSION")
    wanted, most = version.samples + binding.by, pipeline.data.samples + binding.at_most * binding.by
    if wanted > most:
        reason = (
            f"{version.spec} stays as it is: with {binding.by} more samples it would have {wanted}, and the rule "
            f"allows {most} ({pipeline.data.samples} and {binding.at_most} times {binding.by})"
        )
        log.warning("grow: %s", reason)
        return Completed(name="NotGrown", message=reason)
    made = generate.fn(binding.recipe, {"data.samples": wanted}, store.url, binding.profile)
    return Completed(message=f"{made.dataset.spec}, {made.dataset.samples} samples")
