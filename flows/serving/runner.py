from __future__ import annotations

import asyncio
import logging
import os
from typing import Any, Self

from prefect.client.schemas.objects import FlowRun
from prefect.runner import Runner

from ritz.flows.serving.backlog import missed, passed_over
from ritz.flows.serving.claims import claimed
from ritz.flows.serving.orphans import Watch

log = logging.getLogger("ritz")

POLL = 3.0
"""Seconds between two questions for runs that are due, where ``PREFECT_RUNNER_POLL_FREQUENCY`` says no other."""


class ServingRunner(Runner):
    """Prefect's runner, which claims the runs that it starts, and ends by SIGTERM as it does by SIGINT.

    Of the runs of a schedule that nothing has started while they were due it starts the last one.

    Its own way to take SIGTERM waits, in a signal handler, for the event loop that the handler holds up. SIGINT in its
    place would do nothing in what a shell has started in the background, where it is ignored.
    """

    def __init__(self) -> None:
        super().__init__(query_seconds=None if "PREFECT_RUNNER_POLL_FREQUENCY" in os.environ else POLL)

    async def serve(self, watch: Watch) -> None:
        """Run what is due, and keep the watch, until cancelled."""
        self._serving = asyncio.current_task()
        watching = asyncio.create_task(watch.keep())
        # A watch that ends does so by a fault, which must not pass in silence.
        watching.add_done_callback(lambda _: self._serving.cancel() if self._serving else None)
        try:
            await self.start()
        finally:
            if watching.done() and not watching.cancelled():
                watching.result()
            watching.cancel()

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        poller = self._scheduled_run_poller
        submit = poller._submit_run

        async def submit_claimed(flow_run: FlowRun, *rest: Any) -> None:
            # From before the run is pending until its process has ended and the server knows how.
            with claimed(str(flow_run.id)):
                await submit(flow_run, *rest)

        scheduled = poller._get_scheduled_flow_runs

        async def without_backlog() -> list[FlowRun]:
            wanted, instead = missed(runs := await scheduled())
            for run in (one for one in runs if one.id in instead):
                state = passed_over(run, instead[run.id])
                await self._client.set_flow_run_state(run.id, state)
                log.warning("run %s: %s", run.name, state.message)
            return wanted

        poller._submit_run = submit_claimed  # type: ignore[assignment, method-assign]  # Prefect's own method, replaced
        poller._get_scheduled_flow_runs = without_backlog  # type: ignore[method-assign]  # the same
        return self

    def handle_sigterm(self, *_: Any) -> None:
        """Cancel `serve`."""
        assert self._serving is not None
        self._serving.get_loop().call_soon_threadsafe(self._serving.cancel)
