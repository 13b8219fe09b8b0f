"""What code logs on a worker reaches the driver, in the context of the flow that asked for it."""

from __future__ import annotations

import contextvars
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.compute.cluster.stream import stream
from ritz.compute.cluster.worker_logs import MOST, SAYS
from tests.patience import until

RUN: contextvars.ContextVar[str] = contextvars.ContextVar("run", default="none")


@dataclass(frozen=True)
class Said:
    receipt: int


def say(count: int) -> Said:
    """Log some lines on a worker: of Ritz, of somebody's package, and of Dask."""
    logging.getLogger(SAYS).info("begins with %d", count)
    for line in range(count):
        logging.getLogger("somebody").warning("line %d", line)
    logging.getLogger("ritz").info("not worth it")
    logging.getLogger("distributed.worker").warning("its own")
    return Said(count)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    token = RUN.set("mine")
    with Local(solve=Role(count=1)).open(["solve"]) as opened:
        RUN.reset(token)
        yield opened


class Kept(logging.Handler):
    """Keeps lines with the run in whose context they were said."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((RUN.get(), record.levelname, record.getMessage()))


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler, log = Kept(), logging.getLogger("ritz")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


def test_lines_of_a_call_and_of_a_stream_are_said_once_on_the_driver(cluster: Cluster, kept: Kept) -> None:
    assert cluster.call("solve", say, 2).receipt == 2
    assert [done.receipt for done in stream(cluster, say, [1], window=1, role="solve")] == [1]
    until(lambda: len(kept.lines) >= 5)
    worker = kept.lines[0][2].removesuffix(": begins with 2")
    assert re.fullmatch(r"solve worker tls://127\.0\.0\.1:\d+", worker)
    assert kept.lines == [
        ("mine", "INFO", f"{worker}: begins with 2"),
        ("mine", "WARNING", f"{worker}: line 0"),
        ("mine", "WARNING", f"{worker}: line 1"),
        ("mine", "INFO", f"{worker}: begins with 1"),
        ("mine", "WARNING", f"{worker}: line 0"),
    ]


def test_a_task_that_never_stops_talking_is_cut_off(cluster: Cluster, kept: Kept) -> None:
    cluster.call("solve", say, 10 * MOST)
    assert until(lambda: kept.lines[MOST:])[0][2].endswith(f"more than {MOST} lines of one task: no more are sent")
    cluster.call("solve", say, 0)
    until(lambda: [line for line in kept.lines if line[2].endswith("begins with 0")])
    assert len(kept.lines) == MOST + 2
