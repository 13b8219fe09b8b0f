from __future__ import annotations

import base64
import io
import logging
import re
from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.storage import models, runs
from ritz.storage.store import Store
from ritz.tasks.documents.records import save
from ritz.tasks.documents.run import FinishedRun, Paths
from ritz.tasks.report import stage_worker, worker
from ritz.tasks.report.stage_worker import Stage
from ritz.tasks.stage import artifact_key, in_prefect, show, stage
from ritz.tasks.views.summary import rows

log = logging.getLogger("ritz")

LINKED = {"samples": "Test samples", "training": "Training", "errors": "Errors", "coverage": "Error bars"}
"""Sections with pictures that the Prefect artifact of a report links to: the id on the page, the text of the link."""

PIXELS, COLOURS = 420, 24
"""Size of the small picture that an artifact has."""


@stage("publish")
def publish(
    store_url: str,
    cluster: Cluster,
    record: FinishedRun,
    begun: float,
    problem: Problem | None = None,
    surrogate: Surrogate | None = None,
) -> FinishedRun:
    """Write the record of a finished run and its report, and show both as Prefect artifacts.

    Returns the record with ``paths.report`` and ``times.total``: the seconds since ``begun`` (`time.time`), with those
    that the report took.
    """
    store = Store(store_url)
    report = runs.report_location(store, record.run)
    record = record.changed(paths=Paths(report=report, store=store.url))
    page, record = cluster.call("train", worker.report, store_url, record, begun, problem, surrogate)
    record = save(store, record, report=page)
    if in_prefect():
        _artifacts(record, report, page)
    log.info("report: %s", report)
    return record


@stage("page")
def publish_page(
    store_url: str, cluster: Cluster, what: Stage, model: str, dataset: str, table: list[dict[str, str]]
) -> str:
    """Write the page of what a stage by itself has measured, beside the model, and return where it lies.

    Parameters
    ----------
    model, dataset
        ``NAME@VERSION``.
    table
        What the stage came to, which Prefect shows as an artifact.
    """
    store, file = Store(store_url), f"{what}.html"
    models.update(store, model, file, cluster.call("train", stage_worker.page, store_url, what, model, dataset))
    location = models.location(store, model, file)
    if in_prefect():
        key = artifact_key(model.partition("@")[0], what)
        show(create_table_artifact, table, key=key, description=f"{what.capitalize()} of {model}; page: {location}")
    log.info("page: %s", location)
    return location


def _artifacts(record: FinishedRun, report: str, page: bytes) -> None:
    name = record.model.name
    show(create_table_artifact, rows(record), key=artifact_key(name, "summary"), description="The run in eleven lines")
    show(
        create_markdown_artifact,
        links(record.run, report) + picture(page),
        key=artifact_key(name, "report"),
        description="Link to the report, and its first picture",
    )


def links(run: str, report: str) -> str:
    """Return Markdown with links into the report of a run.

    The pictures are in the report: as a part of an artifact they would lie in the database of the server, in the
    artifact and in the event of its making, 0.7 MB with every run. `picture` gives a small one.
    """
    address = report if "://" in report else Path(report).absolute().as_uri()
    shown = "\n".join(f"- [{title}]({address}#{section})" for section, title in LINKED.items())
    return f"# {run}\n\n[{report}]({address})\n\n{shown}"


def picture(page: bytes) -> str:
    """Return Markdown with a small copy of the first picture of a report, nothing where it has none.

    It is at most `PIXELS` wide and has `COLOURS` colours: some 10 kB.
    """
    from PIL import Image

    found = re.search(rb'<img[^>]*src="data:image/png;base64,([A-Za-z0-9+/=]+)', page)
    if found is None:
        return ""
    image = Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB")
    image.thumbnail((PIXELS, PIXELS))
    small = io.BytesIO()
    image.quantize(COLOURS).save(small, "PNG", optimize=True)
    text = base64.b64encode(small.getvalue()).decode()
    return f"\n\n![The first picture of the report](data:image/png;base64,{text})"
