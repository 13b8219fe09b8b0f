"""What a flow run is called and what it came to, as Prefect's pages, its log lines and `ritz trigger` show it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.context import FlowRunContext
from prefect.logging.formatters import PrefectFormatter

from ritz.compute.document import DocumentPart, Json, Number
from ritz.tasks.documents.run import FinishedRun
from ritz.tasks.documents.verdict import RELEASES, Release
from ritz.tasks.pipeline import Pipeline

log = logging.getLogger("ritz")

PREFIX = "ritz."
"""Before the labels of a flow run that are Ritz's."""


def name_flow_run(run: str, tags: Iterable[str]) -> None:
    """Give the flow run that is going on here the id of its run and further tags.

    It has them in every log line from here on. Outside of a flow nothing happens.

    Parameters
    ----------
    run
        Id of the run, the one of its record.
    tags
        Added to those that it has.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    flow_run = context.flow_run
    flow_run.tags = sorted({*flow_run.tags, *tags})
    if flow_run.name != run and flow_run.deployment_id is not None:
        log.info("flow run %s is run %s", flow_run.name, run)
        bear(run)
    flow_run.name = run
    with _telling(run) as client:
        client.update_flow_run(flow_run.id, name=run, tags=flow_run.tags)


def bear(name: str) -> None:
    """Have the name of a run in every line that this process logs to a terminal.

    The lines of all runs that `ritz serve` has under way come together in one terminal.
    """
    # Who asks for a run may call it anything until it starts.
    shown = " ".join(name.split()).replace("%", "%%")
    line = f"%(asctime)s | %(levelname)-7s | {shown} | "
    formatter = PrefectFormatter(f"{line}%(message)s", "%H:%M:%S", task_run_fmt=f"{line}%(task_run_name)s: %(message)s")
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)


def recipe_tags(pipeline: Pipeline) -> list[str]:
    """Return the tags of a recipe, which its deployment and its runs have."""
    kinds = {"problem": pipeline.problem, "surrogate": pipeline.surrogate}
    named = [f"{field}:{getattr(chosen, 'kind', type(chosen).__name__)}" for field, chosen in kinds.items()]
    return [f"recipe:{pipeline.name}", *named]


def tags(record: FinishedRun) -> list[str]:
    """Return the tags of a run that came to a model: its dataset and its model, with their versions."""
    return [f"dataset:{record.dataset.spec}", f"model:{record.model.spec}"]


class RunResult(DocumentPart):
    """What a run came to; None for what is not known."""

    run: str | None = None
    model: str | None = None
    relative_l2: Number | None = None
    release: Release | None = None
    released: bool | None = None
    report: str | None = None


def result(record: FinishedRun) -> RunResult:
    """Return what a run came to."""
    return RunResult(
        run=record.run,
        model=record.model.spec,
        relative_l2=record.metrics.relative_l2.mean,
        release=record.model.release_by(record.recipe),
        released=record.model.released,
        report=record.paths.report,
    )


def sentence(record: FinishedRun) -> str:
    """Return what a run came to in a line."""
    release = RELEASES[record.model.release_by(record.recipe)]
    error, report = record.metrics.relative_l2.mean, record.paths.report
    return f"{record.model.spec}, {release}, relative L2 {error:.4g}; report: {report}"


def label_flow_run(record: FinishedRun) -> None:
    """Keep what the run came to with the flow run that is going on here, for `ritz trigger --wait`."""
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    labels = {f"{PREFIX}{name}": value for name, value in result(record).document().items()}
    with _telling(record.run) as client:
        client.update_flow_run_labels(context.flow_run.id, labels)


@contextmanager
def _telling(run: str) -> Iterator[SyncPrefectClient]:
    """Give a client of the server; what it cannot be told is not worth a run, and is logged."""
    try:
        with get_client(sync_client=True) as client:
            yield client
    except (httpx.HTTPError, RuntimeError) as error:
        # The client raises the latter where the server does not even tell its version.
        log.warning("the Prefect server was not notified of run %s: %s", run, str(error) or type(error).__name__)


def labelled(labels: Json) -> RunResult:
    """Return what a flow run's labels say that it came to."""
    return RunResult(**{name: labels.get(f"{PREFIX}{name}") for name in RunResult.model_fields})
