from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from distributed import Client, Future, KilledWorker, Worker, get_worker

from ritz.compute.cluster.channel import Channel
from ritz.compute.cluster.meeting import meeting
from ritz.compute.cluster.presence import LOOK, PATIENCE, ROLES, Presence
from ritz.compute.cluster.receipts import Receipts
from ritz.compute.cluster.refusals import Refusals

TELL_EVERY = 0.5
"""Seconds between two messages of a `Teller`."""


class WorkersLost(RuntimeError):
    """A piece of work was given up because worker after worker died on it."""


class Cluster:
    """A connection to Dask workers that carry roles as resources: the seam between stages and machines.

    Parameters
    ----------
    client : distributed.Client
        Connected, synchronous client. Work for a role goes only to workers that offer the resource of its name, and
        compute with what the driver computes with (see `ritz.compute.cluster.admission`).
    device : str
        Where the arrays of the workers of the role ``train`` live.
    patience : float
        Seconds that work waits for a worker of its role where there is none.
    start
        Returns how one starts a worker of a role, for messages.
    """

    def __init__(
        self,
        client: Client,
        device: str = "cpu",
        *,
        patience: float = PATIENCE,
        start: Callable[[str], str] = "start one with the resource {}".format,
    ) -> None:
        self.client, self.device, self.start = client, device, start
        self.receipts = Receipts(client)
        self.refusals = Refusals(client, ROLES)
        self.presence = Presence(client, self.workers, patience, start)

    def close(self) -> None:
        """Listen to its workers no more; the client stays connected."""
        self.receipts.close()
        self.refusals.close()

    def resources(self, role: str) -> dict[str, int]:
        """Return what a task for ``role`` asks of a worker: its one resource, so that it runs alone."""
        return {self.refusals.names[role]: 1}

    def refused(self, role: str) -> list[str]:
        """Return a sentence for each worker that offers ``role`` and computes with something else than the driver."""
        return self.refusals.among(self._offering(role))

    def workers(self, role: str) -> int:
        """Return how many workers take work for ``role`` now."""
        return len(self._offering(self.refusals.names[role]))

    def window(self, role: str) -> int:
        """Return how many pieces of work for a role to have in flight: each worker has the next one at hand.

        Where no worker is there at the moment it is that of one: who waits for the work waits for a worker, too.
        """
        return 2 * max(1, self.workers(role))

    def addresses(self, role: str) -> list[str]:
        """Return the addresses of the workers that take work for ``role`` now, those with the least to do first."""
        working = self.client.processing()
        return sorted(self._offering(self.refusals.names[role]), key=lambda address: len(working.get(address, ())))

    def _offering(self, resource: str) -> list[str]:
        return [address for address, info in self.known().items() if info.get("resources", {}).get(resource, 0) > 0]

    def known(self) -> dict[str, dict[str, Any]]:
        """Return what the scheduler knows of its workers now, by address."""
        # `Client.scheduler_info` hands on what the client's own look every two seconds has just put in the place of the
        # answer: that one has no workers.
        scheduler: Any = self.client.scheduler
        found: dict[str, dict[str, Any]] = self.client.sync(scheduler.identity, n_workers=-1)["workers"]
        return found

    def submit(self, role: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        """Start ``function(*args, **kwargs)`` on one worker of ``role``; every call runs anew."""
        return self.client.submit(function, *args, resources=self.resources(role), pure=False, **kwargs)

    def submit_to(self, address: str, role: str, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Start ``function(*args)`` on one worker of ``role``; if that dies it is not started again elsewhere."""
        return self.client.submit(function, *args, resources=self.resources(role), workers=[address], pure=False)

    def call(self, role: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run ``function`` on one worker of ``role`` and return its result.

        Raises
        ------
        WorkersLost
            As `result`.
        ritz.compute.cluster.errors.ClusterError
            As `ritz.compute.cluster.presence.Presence.check`.
        """
        future, done = self.submit(role, function, *args, **kwargs), threading.Event()
        future.add_done_callback(lambda _: done.set())
        while not done.wait(LOOK):
            self.presence.check(role)
        return self.result(future)

    def cancel(self, futures: Sequence[Future[Any]]) -> None:
        """Cancel what still runs; with the scheduler its work is gone anyway."""
        if futures and self.presence.has_scheduler():
            self.client.cancel(list(futures))

    def result(self, future: Future[Any]) -> Any:
        """Wait for the result of a future, and let go of it.

        Raises
        ------
        WorkersLost
            If it was tried on worker after worker and each died.
        """
        try:
            return future.result()
        except KilledWorker as error:
            raise WorkersLost(str(error)) from error
        finally:
            future.release()

    def give_up(self, futures: Sequence[Future[Any]], patience: float) -> None:
        """Cancel what still runs, and end the workers on which it goes on regardless.

        Parameters
        ----------
        patience
            Seconds that it may take to notice.
        """
        keys = {future.key for future in futures}
        busy = [address for address, working in self.client.processing().items() if keys & set(working)]
        for future in futures:
            future.cancel()
        until = time.monotonic() + patience
        while busy and time.monotonic() < until:
            time.sleep(0.2)
            running = self.client.run(_running, workers=busy, on_error="ignore")
            busy = [address for address, keys_there in running.items() if keys & keys_there]
        if busy:
            self.client.restart_workers(busy, raise_for_error=False)

    def channel(self, name: str, capacity: int, lanes: int = 1) -> Channel:
        """Return the driver's end of the channel ``name``; see `ritz.compute.cluster.channel.Channel`."""
        return Channel(self.client, name, capacity, lanes)

    def meeting(self, size: int) -> AbstractContextManager[str]:
        """Let tasks come together; see `ritz.compute.cluster.meeting.meeting`."""
        return meeting(self.client, size)

    @contextmanager
    def listen(self, topic: str, handler: Callable[[dict[str, Any]], None]) -> Iterator[None]:
        """Call ``handler(message)`` for every message that workers tell about ``topic`` meanwhile."""
        self.client.subscribe_topic(topic, lambda event: handler(event[1]["message"]))
        try:
            yield
        finally:
            if self.presence.has_scheduler():
                self.client.unsubscribe_topic(topic)


def _running(dask_worker: Worker) -> set[Any]:
    return {task.key for task in dask_worker.state.all_running_tasks}


class Teller:
    """Sends small messages from a running task to whoever listens to ``topic`` (see `Cluster.listen`), not too many."""

    def __init__(self, topic: str) -> None:
        self.topic, self._last = topic, float("-inf")

    def __call__(self, message: dict[str, Any], *, last: bool = False) -> None:
        """Send a message if the one before was sent `TELL_EVERY` ago, or if it is the last; else drop it."""
        now = time.monotonic()
        if last or now - self._last >= TELL_EVERY:
            self._last = now
            get_worker().log_event(self.topic, {"message": message})
