"""What code says on a worker, through `logging`, is said by the driver too, where the log of the run is kept."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, ParamSpec, TypeVar
from uuid import uuid4

from distributed import Client, get_worker

from ritz.compute.cluster.presence import ROLES
from ritz.compute.cluster.said import SAID

P = ParamSpec("P")
R = TypeVar("R")

SAYS = "ritz.worker"
"""Logger for what a worker has to say in the log of its run."""

MOST = 100
"""Lines of one task that are sent; a line per system of a shard would keep the scheduler busy."""

log = logging.getLogger(SAID)


class Saying(Generic[P, R]):
    """A function that sends what is logged while it runs on a worker.

    Sent are the lines of the logger `SAYS` from INFO on, and those of all others from WARNING on, but Dask's own.
    """

    def __init__(self, topic: str, function: Callable[P, R]) -> None:
        self.topic, self.function = topic, function
        # Dask names tasks by it.
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function."""
        with _sending(self.topic):
            return self.function(*args, **kwargs)


class WorkerLogs:
    """Says on the driver what the tasks of its own log on workers.

    Parameters
    ----------
    client : distributed.Client
        Connected client. What arrives is logged in the context in which this object was made: that of a flow, whose
        log then has it.
    """

    def __init__(self, client: Client) -> None:
        self.client, self.topic = client, f"ritz-logs-{uuid4().hex}"
        self._context = contextvars.copy_context()
        client.subscribe_topic(self.topic, self._say)

    def of(self, function: Callable[P, R]) -> Saying[P, R]:
        """Return a function that sends what is logged while it runs."""
        return Saying(self.topic, function)

    def close(self) -> None:
        """Listen no longer."""
        if self.client.status == "running":
            self.client.unsubscribe_topic(self.topic)

    def _say(self, event: tuple[float, dict[str, Any]]) -> None:
        said = event[1]
        self._context.run(log.log, said["level"], "%s: %s", said["who"], said["text"])


@contextmanager
def _sending(topic: str) -> Iterator[None]:
    handler, own, root = _Sender(topic), logging.getLogger(SAYS), logging.getLogger()
    own.setLevel(logging.INFO)
    # What is sent is said by the driver, and need not be said by the worker too.
    own.propagate = False
    for logger in (own, root):
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in (own, root):
            logger.removeHandler(handler)


class _Sender(logging.Handler):
    """Sends log records on a topic, as text."""

    def __init__(self, topic: str) -> None:
        super().__init__(logging.INFO)
        self.topic, self.left = topic, MOST

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, unless it is Dask's own or one too many."""
        if (record.name != SAYS and record.levelno < logging.WARNING) or record.name.startswith("distributed"):
            return
        self.left -= 1
        if self.left < -1:
            return
        text = self.format(record) if self.left >= 0 else f"more than {MOST} lines of one task: no more are sent"
        worker = get_worker()
        role = next((name for name in worker.state.total_resources if name in ROLES), "a")
        who = f"{role} worker {worker.address}"
        worker.log_event(self.topic, {"level": record.levelno, "who": who, "text": text})
