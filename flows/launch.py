"""Runs a flow to its end, whatever becomes of the server that keeps its history."""

from __future__ import annotations

import functools
import logging
from contextlib import ExitStack
from typing import ParamSpec, TypeVar

from prefect import Flow
from prefect.events.worker import EventsWorker
from prefect.runtime import flow_run

from ritz.flows.client import connected
from ritz.flows.serving.claims import claimed, settle
from ritz.flows.serving.orphans import end_killed

log = logging.getLogger("ritz")

EVENTS = 5.0
"""Seconds that the last events of a flow may take to reach the server."""

P = ParamSpec("P")
R = TypeVar("R")


def launch(flow: Flow[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a flow and return what its work returned, or raise what it raised.

    Prefect is told of a flow's states while it runs, and raises its own error where the server does not take the last
    one. The work is done by then, and its result is in the store: what could not be recorded is one line in the log.
    The runs of commands that were killed before end as ``Crashed``.

    Raises
    ------
    Exception
        What the work raised; Prefect's own error if the work did not begin.
    """
    results: list[R] = []
    errors: list[Exception] = []
    held = ExitStack()

    @functools.wraps(flow.fn)
    def work(*args: P.args, **kwargs: P.kwargs) -> R:
        held.callback(settle, flow_run.id)
        held.enter_context(claimed(flow_run.id))
        try:
            results.append(flow.fn(*args, **kwargs))
        except Exception as error:
            errors.append(error)
            raise
        return results[-1]

    kept = flow.with_options()
    kept.fn = work
    try:
        with connected(), held:
            end_killed()
            try:
                return kept(*args, **kwargs)
            finally:
                # What became of the stages is still under way, and the server may end when this returns.
                EventsWorker.drain_all(timeout=EVENTS)
    except Exception as error:
        if error in errors or not (results or errors):
            raise
        # That a run is unknown has no words of its own.
        reason = f"{type(error).__name__}: {error}".partition("\n")[0].removesuffix(": None")
        log.warning("Prefect's server did not record the end of this run: %s", reason)
        if errors:
            raise errors[-1] from None
        return results[-1]
