from __future__ import annotations

import logging
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ritz.flows.settings import DEFAULT_STORE, STARTED, prepare_prefect

prepare_prefect()  # Prefect reads its settings when it is imported.

from prefect import flow
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture

from ritz.compute.cluster.channel import ConsumerFailed, ProducerFailed
from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.profile import Profile
from ritz.compute.cluster.usage import Usage
from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.flows.launch import launch
from ritz.flows.naming import name_flow_run, recipe_tags, tags
from ritz.flows.server.access import embedded
from ritz.flows.serving.events import tell_missed, tell_published
from ritz.storage import models
from ritz.storage.store import Store
from ritz.tasks.catalogue.asked import write_asked
from ritz.tasks.checks import check_ranks
from ritz.tasks.documents.card import ModelVersion, Origin
from ritz.tasks.documents.dataset import DatasetVersion
from ritz.tasks.documents.provenance import machine, versions
from ritz.tasks.documents.records import attempts, recorded, run_lock
from ritz.tasks.documents.run import FinishedRun, Memory, ModelOfRun, Paths, RunRecord, Times
from ritz.tasks.driver.limit import limited
from ritz.tasks.driver.signals import stoppable
from ritz.tasks.generation.generate import generate
from ritz.tasks.generation.growth import published
from ritz.tasks.generation.result import Generated
from ritz.tasks.measuring.cost import cost
from ritz.tasks.measuring.evaluate import evaluate
from ritz.tasks.measuring.quantify import quantify
from ritz.tasks.measuring.release import judge, judged_again
from ritz.tasks.parsing.overrides import assignments
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.preparing import prepare
from ritz.tasks.propagation.propagate import propagate
from ritz.tasks.propagation.question import of_pipeline
from ritz.tasks.report.publish import publish
from ritz.tasks.requests.solving import Run
from ritz.tasks.training.members import train_members
from ritz.tasks.training.train import KeptTraining, train
from ritz.tasks.training.worker import history_of, register

log = logging.getLogger("ritz")

CHANNEL = 4
"""Solved shards that may wait for the trainer."""


def run_pipeline(
    pipeline: Pipeline,
    store: str = DEFAULT_STORE,
    profile: Profile | None = None,
    command: Sequence[str] = (),
    begun: float | None = None,
) -> FinishedRun:
    """Generate, train, evaluate, quantify and publish; generating and training overlap.

    The flow's history is kept by the Prefect server that ``PREFECT_API_URL`` names, else by one of its own, as with
    ``ritz run``; called inside a flow it is a part of that.

    Parameters
    ----------
    pipeline
        What to run; its problem may be a class of one's own.
    store
        Folder or URL of the store of datasets, models and runs.
    profile
        On what to compute; the shipped profile ``local`` by default.
    command
        What was typed, for the record.
    begun
        Since when the run takes its time, `time.time`; by default since this call.

    Returns
    -------
    FinishedRun
        The run record. A pipeline that has finished in this store before is not run again.
    """
    begun = time.time() if begun is None else begun
    if FlowRunContext.get() is not None:
        return _pipeline_flow(pipeline, store, profile, command, begun)
    with embedded():
        return launch(_pipeline_flow, pipeline, store, profile, command, begun)


@flow(name="ritz", validate_parameters=False)
@stoppable
def _pipeline_flow(
    pipeline: Pipeline, store: str, profile: Profile | None, command: Sequence[str], begun: float
) -> FinishedRun:
    return _done(Run(pipeline), store, profile or "local", command, begun)


def _done(request: Run, store: str, profile: str | Profile, command: Sequence[str], begun: float) -> FinishedRun:
    """Return the record of a request that was done before, or is done now."""
    prepared = prepare(request, store, profile)
    pipeline, store = prepared.work, prepared.store
    if prepared.done is not None:
        done = judged_again(store, prepared.done, pipeline)
        if done is not prepared.done:
            tell_missed(store, done.model.spec, done.dataset, done.model)
        write_asked(pipeline.catalogue, store)
        log.info("nothing to do: run %s has done all of it", done.run)
        name_flow_run(done.run, [*tags(done), "nothing to do"])
        return done
    lock = Store(store).lock(run_lock(pipeline.name), f"run of {pipeline.name!r} in {store}")
    with lock, limited(prepared.profile.time_limit):
        record = _begun(pipeline, store, command)
        name_flow_run(record.run, recipe_tags(pipeline))
        spent: dict[str, Usage] = {}
        with recorded(Store(store), record, spent):
            ended = _run(pipeline, store, prepared.profile, record, begun, spent)
        name_flow_run(ended.run, tags(ended))
        tell_missed(store, ended.model.spec, ended.dataset, ended.model)
        write_asked(pipeline.catalogue, store)
        return ended


def _begun(pipeline: Pipeline, store: str, command: Sequence[str]) -> RunRecord:
    """Return what the record of a run says at its start."""
    now = datetime.now(UTC)
    return RunRecord(
        # A name may be as long as that of a run.
        run=f"{now:%Y%m%dT%H%M%S}-{pipeline.name[:60]}-{pipeline.identity[:8]}",
        status="running",
        identity=pipeline.identity,
        fit=_fit_identity(pipeline),
        created=now.isoformat(timespec="seconds"),
        command=tuple(command),
        recipe=pipeline.document(),
        versions=versions(),
        machine=machine(),
        paths=Paths(store=store),
    )


def _run(
    pipeline: Pipeline, store: str, profile: Profile, record: RunRecord, begun: float, spent: dict[str, Usage]
) -> FinishedRun:
    with profile.open() as cluster, _metered(cluster, spent):
        check_ranks(pipeline, cluster)
        generated, trained = _generate_and_train(pipeline, store, cluster, record.run)
        made, dataset = generated.dataset, generated.dataset.spec
        if isinstance(pipeline.surrogate, Ensemble):
            fit = _fit_identity(pipeline)
            trained = train_members(pipeline, cluster, pipeline.surrogate, trained, identity=fit, version=made.version)
        origin = Origin(
            name=pipeline.name,
            dataset=DatasetVersion(name=made.name, version=made.version, snapshot=made.snapshot),
            recipe=record.recipe,
            mode="online",
            run=record.run,
            training=trained.summary,
        )
        model: ModelVersion = cluster.call("train", register, store, trained.identity, pipeline.name, origin)
        reference = model.spec
        measuring = time.monotonic()
        measured = evaluate(
            store, cluster, reference, dataset, pipeline.evaluation, pipeline.problem, pipeline.surrogate
        )
        quantified = quantify(
            store, cluster, reference, dataset, pipeline.uncertainty, pipeline.problem, pipeline.surrogate
        )
        priced = cost(store, cluster, reference, dataset, pipeline.problem, pipeline.surrogate)
        answers = [
            propagate(store, cluster, question)
            for question in of_pipeline(pipeline, Store(store), reference, dataset, trained.identity)
        ]
        measuring = time.monotonic() - measuring
        found = (measured.metrics, quantified.coverage, measured.baselines, quantified.shifted)
        verdict = judge(Store(store), reference, pipeline.gate, *found)
        parameters = trained.summary.parameters
        usage = cluster.usage().after(attempts(Store(store), record))
        models.amend(Store(store), reference, {"usage": usage.document()})
        ended = FinishedRun.model_validate(
            {
                **record.entries(),
                "status": "finished",
                "dataset": made,
                "model": ModelOfRun(**model.entries(), parameters=parameters, **verdict.entries()),
                "metrics": measured.metrics,
                "baselines": measured.baselines,
                "coverage": quantified.coverage,
                **({"bar_seconds": quantified.seconds} if quantified.seconds else {}),
                **({"ranking": quantified.ranking} if quantified.ranking else {}),
                **({"shifted": quantified.shifted} if quantified.shifted else {}),
                **({"population": tuple(answers)} if answers else {}),
                **priced.entries(),
                "ledger": generated.ledger,
                "choice": generated.choice,
                "panel": generated.panel,
                **({"solving": generated.solving} if generated.solving else {}),
                **({"tuning": generated.tuning} if generated.tuning else {}),
                "times": _times(generated, trained, Store(store), begun).changed(evaluate=measuring),
                "memory": Memory(driver_peak=_peak_memory()),
                "usage": usage,
            }
        )
        return publish(store, cluster, ended, begun, pipeline.problem, pipeline.surrogate)


@contextmanager
def _metered(cluster: Cluster, spent: dict[str, Usage]) -> Iterator[None]:
    """Have at hand what the workers took when a run ends, however it ends."""
    try:
        yield
    finally:
        spent["usage"] = cluster.usage()


def _fit_identity(pipeline: Pipeline) -> str:
    return pipeline.model_identity("online", pipeline.samples_identity)


def _generate_and_train(pipeline: Pipeline, store: str, cluster: Cluster, run: str) -> tuple[Generated, KeptTraining]:
    identity, known = _fit_identity(pipeline), published(pipeline, store)
    channel = cluster.channel(run, CHANNEL, pipeline.training.trainers)
    try:
        training = train.submit(pipeline, store, cluster, identity=identity, dataset=pipeline.name, channel=channel)
        training.add_done_callback(
            lambda end: channel.consumer_failed() if _failed(end) else channel.consumer_finished()
        )
        generating = generate.submit(pipeline, store, cluster, channel)
        generating.add_done_callback(lambda end: channel.producer_failed() if _failed(end) else None)
        generated: Any = generating.result(raise_on_failure=False)
        if not known and isinstance(generated, Generated):
            tell_published(store, generated.dataset, pipeline.name)
        trained: Any = training.result(raise_on_failure=False)
    finally:
        channel.close()
    errors = [result for result in (generated, trained) if isinstance(result, BaseException)]
    # One stage that fails takes the other with it: the cause is worth more than the consequence.
    for error in sorted(errors, key=lambda error: isinstance(error, ConsumerFailed | ProducerFailed)):
        raise error
    return generated, trained


def _failed(stage: PrefectFuture[Any]) -> bool:
    return isinstance(stage.result(raise_on_failure=False), BaseException)


def _times(generated: Generated, trained: KeptTraining, store: Store, start: float) -> Times:
    curve = history_of(store, trained.identity).curve
    last = generated.last_shard
    return Times(
        # A run that goes on after a killed one may find the first step, or all shards, done before it began.
        first_step=max(0.0, trained.summary.first_step - start),
        last_shard=None if last is None else last - start,
        steps=trained.summary.steps,
        steps_while_solving=max((row["step"] for row in curve if last and row["time"] <= last), default=0),
        generate=generated.seconds,
        train=trained.seconds,
    )


def _peak_memory() -> int:
    """Return the largest resident size of this process so far, in bytes."""
    if sys.platform == "linux":
        # The figure of getrusage is inherited by a child: it would be that of whoever started this process.
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(status["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@flow(name="ritz")
@stoppable
def run(
    recipe: str, overrides: dict[str, object] | None = None, store: str = DEFAULT_STORE, profile: str = "local"
) -> FinishedRun:
    """Run a recipe: what ``ritz run`` starts.

    Parameters
    ----------
    recipe
        Name of a shipped recipe or path of a YAML file.
    overrides
        Dotted path of a field → value.
    store
        Folder or URL.
    profile
        Name or path of a cluster profile, ``attach:ADDRESS`` for a running scheduler.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        For bad input, before any work.
    """
    if not log.isEnabledFor(logging.INFO):
        # A served run: no terminal watches, and Prefect keeps what the stages say.
        log.setLevel(logging.INFO)
    command = ["ritz", "run", recipe, "--store", store, "--profile", profile, *assignments(overrides)]
    return _done(Run.read(recipe, overrides, store), store, profile, command, STARTED)
