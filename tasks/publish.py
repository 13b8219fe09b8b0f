from __future__ import annotations

import base64
import logging
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from compute.cluster.cluster import Cluster
from compute.problems.problem import Problem
from compute.surrogates.surrogate import Surrogate
from storage import runs
from storage.store import Store
from tasks.stage import artifact_key, in_prefect, stage
from tasks.summary import rows
from tasks.worker import publish as worker

log = logging.getLogger("ritz")

ROOM = 1_300_000
"""Characters of all pictures in the artifact of a run."""


@stage("publish")
def publish(
    store_url: str,
    cluster: Cluster,
    record: dict[str, Any],
    problem: Problem | None = None,
    surrogate: Surrogate | None = None,
) -> dict[str, Any]:
    """Write the record of a finished run and its report, and show both as Prefect artifacts.

    Returns the record with ``paths.report``.
    """
    store = Store(store_url)
    paths = {"report": runs.report_location(store, record["run"]), "store": store.url}
    record = {**record, "paths": paths}
    page, pictures = cluster.call("train", worker.report, store_url, record, problem, surrogate)
    record = runs.save(store, record["run"], record, report=page)
    if in_prefect():
        _artifacts(record, pictures)
    log.info("report: %s", paths["report"])
    return record


def _artifacts(record: dict[str, Any], pictures: dict[str, bytes]) -> None:
    name = record["model"]["name"]
    create_table_artifact(rows(record), key=artifact_key(name, "summary"), description="The run in eleven lines")
    create_markdown_artifact(
        f"# {record['run']}\n\n{gallery(pictures, record['paths']['report'])}",
        key=artifact_key(name, "report"),
        description="The run in pictures",
    )


def gallery(pictures: dict[str, bytes], report: str) -> str:
    """Return the pictures of a run as Markdown; those for which there is no room only say where they are.

    Prefect refuses events above 1.5 MB, and an artifact makes an event that holds all of it.
    """
    parts, room = [], ROOM
    for name, picture in pictures.items():
        data = base64.b64encode(picture).decode()
        shown = f"![{name}](data:image/png;base64,{data})" if len(data) <= room else f"In the report: {report}"
        room -= len(data) if len(data) <= room else 0
        parts.append(f"## {name.replace('_', ' ').capitalize()}\n\n{shown}")
    return "\n\n".join(parts)
