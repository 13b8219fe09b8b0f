from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings

from ritz.flows.naming import _telling, bear, label_flow_run, labelled, name_flow_run, recipe_tags, sentence, tags
from ritz.tasks.recipes import load
from tests.command import SMALL
from tests.documents import finished
from tests.served import client_of

RECORD = finished()


@pytest.fixture
def root() -> Iterator[logging.Handler]:
    """A handler of the root logger alone, whose records go nowhere."""
    handler = logging.NullHandler()
    logger = logging.getLogger()
    before = [(other, other.formatter) for other in logger.handlers]
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    for other, formatter in before:
        other.setFormatter(formatter)


def test_a_flow_run_bears_the_id_and_the_tags_of_its_run_and_what_it_came_to(environment: dict[str, str]) -> None:
    @flow(name="ritz")
    def run() -> str:
        name_flow_run(RECORD.run, recipe_tags(load(SMALL)))
        name_flow_run(RECORD.run, tags(RECORD))
        label_flow_run(RECORD)
        return str(flow_run.id)

    with client_of(environment):
        found = run()
        with get_client(sync_client=True) as client:
            told = client.read_flow_run(found)  # type: ignore[arg-type]
    assert told.name == RECORD.run
    assert set(told.tags) == {"recipe:small", "problem:darcy", "surrogate:fno", "dataset:small@v2", "model:small@v3"}
    assert labelled(told.labels).document() == {
        "run": RECORD.run,
        "model": "small@v3",
        "relative_l2": 0.25,
        "release": "missed",
        "released": False,
        "report": "/store/report.html",
    }


def test_a_server_that_is_gone_does_not_end_a_run(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as nobody, caplog.at_level(logging.WARNING, "ritz"):
        nobody.bind(("127.0.0.1", 0))
        gone = {PREFECT_API_URL: f"http://127.0.0.1:{nobody.getsockname()[1]}/api"}
        with temporary_settings(gone), _telling("this") as client:
            client.update_flow_run_labels(UUID(int=0), {"ritz.run": "this"})
    assert "the Prefect server was not notified of run this: " in caplog.text


def test_outside_of_a_flow_there_is_nothing_to_name() -> None:
    name_flow_run(RECORD.run, [])


def test_what_a_run_came_to_is_one_line() -> None:
    assert sentence(RECORD) == "small@v3, not released, relative L2 0.25; report: /store/report.html"


@pytest.mark.parametrize(
    ("name", "shown"), [("run", "run"), ("100 %(name)s", "100 %(name)s"), ("two\nlines", "two lines")]
)
def test_every_line_bears_the_name_of_its_run(root: logging.Handler, name: str, shown: str) -> None:
    bear(name)
    record = logging.LogRecord("ritz", logging.WARNING, "", 0, "solve: %d of 40", (8,), None)
    assert root.format(record).endswith(f" | WARNING | {shown} | solve: 8 of 40")
    record.name, record.task_run_name = "prefect.task_runs", "train-1"
    assert root.format(record).endswith(f" | {shown} | train-1: solve: 8 of 40")
