"""Signs of life of a served run, by which its server knows that a driver or a whole machine has died.

`ritz.flows.serving.orphans` finds the runs of its own machine in seconds. This is for the others, and for a machine
that is gone: an automation ends a run of which nothing was heard for a while (`ritz.flows.serving.automations`).
Prefect's own heartbeats come no oftener than every 30 s: two in a minute are too few to tell a dead run from a slow
one.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL
from prefect.states import Running

log = logging.getLogger("ritz")

ALIVE = "ritz.run.alive"
"""Name of the event that a run gives a sign of life by."""

ENDS = tuple(f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed", "TimedOut"))
"""Names of the events after which no sign of life is awaited."""

BEAT = 10.0
"""Seconds from one sign of life to the next."""

SILENCE = 45.0
"""Seconds without one after which a run is taken for dead: a server looks every 5 s, and a minute is not exceeded."""

SILENT = (
    f"no sign of life from this run for {SILENCE:.0f} s: its driver or its machine died, or does not reach the server; "
    "committed work is kept, and the next run of the recipe goes on from there"
)
"""Reason of a run that was ended so."""


@contextmanager
def beating(flow_run: str) -> Iterator[None]:
    """Give signs of life meanwhile, from a thread of its own.

    A run that was taken for dead, because its machine stood still or its server was away, says that it goes on.

    Parameters
    ----------
    flow_run
        Its id.
    """
    if PREFECT_API_URL.value() is None:
        yield
        return
    over = threading.Event()
    # The settings that name the server are the context's.
    work = contextvars.copy_context()
    thread = threading.Thread(target=work.run, args=(_beat, flow_run, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        # After the end of the run no sign may come.
        thread.join(2 * BEAT)


def _beat(flow_run: str, over: threading.Event) -> None:
    while True:
        emit_event(ALIVE, resource={"prefect.resource.id": f"prefect.flow-run.{flow_run}"})
        if over.wait(BEAT):
            return
        _revive(flow_run)


def _revive(flow_run: str) -> None:
    """Have a run go on that the server has taken for dead."""
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(UUID(flow_run)).state
            if state is not None and state.is_crashed() and state.message == SILENT:
                message = "goes on: it was taken for dead, and was not"
                client.set_flow_run_state(UUID(flow_run), Running(message=message), force=True)
                log.warning("this run %s", message)
    except (httpx.HTTPError, PrefectException, RuntimeError):
        # The server is away; the next sign of life finds it, or the one after.
        return
