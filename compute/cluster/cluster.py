from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from distributed import Client, Future, KilledWorker, Worker, get_worker
from distributed.client import FutureCancelledError

from ritz.compute.cluster.channel import Channel
from ritz.compute.cluster.presence import CHECK_EVERY, PATIENCE, ROLES, Presence
from ritz.compute.cluster.receipts import Receipts
from ritz.compute.cluster.refusals import Refusals
from ritz.compute.cluster.rendezvous import rendezvous
from ritz.compute.cluster.usage import Usage, UsageMeter
from ritz.compute.cluster.worker_logs import WorkerLogs

NOTIFY_EVERY = 0.5
"""Least seconds between two messages of a `Notifier`."""


_LOST = ("lost dependencies", "already forgotten")
"""Reasons of Dask's why a task is cancelled whose argument lay on a worker that died."""


class WorkersLost(RuntimeError):
    """A task was given up because every worker that ran it died.

    Attributes
    ----------
    item
        What the task was about, where that is known.
    """

    item: object = None


class Cluster:
    """A connection to Dask workers that carry roles as resources: the seam between stages and machines.

    Parameters
    ----------
    client : distributed.Client
        Connected, synchronous client. Tasks of a role go only to workers that offer the resource of its name and have
        the driver's versions (see `ritz.compute.cluster.admission`).
    device : str
        Where the arrays of the workers of the role ``train`` live.
    patience : float
        Seconds that a task waits for a worker of its role.
    start
        Returns how to start a worker of a role, for messages.
    trouble
        Returns why no worker of a role will come, empty while one may.
    planned
        Workers per role that are to come, for a cluster whose workers may join one after the other.
    begun
        When the first worker could have started, `time.monotonic`; by default now.
    """

    def __init__(
        self,
        client: Client,
        device: str = "cpu",
        *,
        patience: float = PATIENCE,
        start: Callable[[str], str] = "start one with the resource {}".format,
        trouble: Callable[[str], str] = "".format,
        planned: Mapping[str, int] | None = None,
        begun: float | None = None,
    ) -> None:
        self.client, self.device, self.start = client, device, start
        self._planned, self._meter = dict(planned or {}), UsageMeter(begun)
        self.receipts = Receipts(client)
        self.logs = WorkerLogs(client)
        self.refusals = Refusals(client, ROLES)
        self.presence = Presence(client, self.workers, patience, start, trouble)

    def close(self) -> None:
        """Unsubscribe from the messages of workers; the client stays connected."""
        self.receipts.close()
        self.logs.close()
        self.refusals.close()

    def resources(self, role: str) -> dict[str, int]:
        """Return the resources that a task of ``role`` requires: the one of its worker, so that it runs alone."""
        return {self.refusals.names[role]: 1}

    def refused(self, role: str) -> list[str]:
        """Return a sentence for each worker that offers ``role`` with other versions than the driver's."""
        return self.refusals.among(self._offering(role))

    def workers(self, role: str) -> int:
        """Return the number of workers that take tasks of ``role`` now."""
        return len(self._offering(self.refusals.names[role]))

    def expected(self, role: str) -> int:
        """Return the number of workers of ``role`` that are there or to come."""
        return max(self.workers(role), self._planned.get(role, 0))

    def window(self, role: str) -> int:
        """Return how many tasks of a role to keep in flight: two per worker, so that each has the next one at hand.

        Workers that are still to come count as well. Without a worker it is the window of a single one: the caller then
        waits for a worker, too.
        """
        return 2 * max(1, self.expected(role))

    def addresses(self, role: str) -> list[str]:
        """Return the addresses of the workers that take tasks of ``role`` now, the least busy first."""
        working = self.client.processing()
        return sorted(self._offering(self.refusals.names[role]), key=lambda address: len(working.get(address, ())))

    def _offering(self, resource: str) -> list[str]:
        return [address for address, info in self.known().items() if info.get("resources", {}).get(resource, 0) > 0]

    def known(self) -> dict[str, dict[str, Any]]:
        """Return what the scheduler knows of its workers now: address → Dask's description."""
        # `Client.scheduler_info` may return what the client's own poll has stored, which has no workers.
        scheduler: Any = self.client.scheduler
        workers: dict[str, dict[str, Any]] = self.client.sync(scheduler.identity, n_workers=-1)["workers"]
        self._meter.observe(workers)
        return workers

    def usage(self) -> Usage:
        """Return what the workers took until the last look at them; who waits for a task looks every second."""
        return self._meter.total()

    def submit(self, role: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        """Start ``function(*args, **kwargs)`` on one worker of ``role``; equal calls are separate tasks."""
        said = self.logs.of(function)
        return self.client.submit(said, *args, resources=self.resources(role), pure=False, **kwargs)

    def submit_to(self, address: str, role: str, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Start ``function(*args)`` on one given worker; if it dies, Dask does not restart the task elsewhere."""
        said, needed = self.logs.of(function), self.resources(role)
        return self.client.submit(said, *args, resources=needed, workers=[address], pure=False)

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
        while not done.wait(CHECK_EVERY):
            self.presence.check(role)
        return self.result(future)

    def place(self, role: str, value: Any) -> Any:
        """Put a large value on a worker of ``role``, and return what stands for it among the arguments of a task.

        What goes with a task passes through the scheduler, which warns of more than 10 MB. If the worker dies, the
        tasks that need the value end with `WorkersLost`.
        """
        addresses = self.addresses(role)
        return self.client.scatter(value, workers=addresses[:1], hash=False) if addresses else value

    def cancel(self, futures: Sequence[Future[Any]]) -> None:
        """Cancel futures; a lost scheduler has lost its tasks anyway."""
        if futures and self.presence.has_scheduler():
            self.client.cancel(list(futures))

    def result(self, future: Future[Any]) -> Any:
        """Wait for the result of a future, and release the future.

        Raises
        ------
        WorkersLost
            If every worker that ran the task died, or the one that held a value it needed.
        """
        try:
            return future.result()
        except KilledWorker as error:
            raise WorkersLost(str(error)) from error
        except FutureCancelledError as error:
            if error.reason not in _LOST:
                raise
            raise WorkersLost(f"the worker is gone that held what {future.key} needs") from error
        finally:
            future.release()

    def give_up(self, futures: Sequence[Future[Any]], patience: float) -> None:
        """Cancel futures, and restart the workers on which their tasks go on regardless.

        Parameters
        ----------
        patience
            Seconds that a task has to notice its cancellation.
        """
        keys = {future.key for future in futures}
        busy = [address for address, working in self.client.processing().items() if keys & set(working)]
        for future in futures:
            future.cancel()
        until = time.monotonic() + patience
        while busy and time.monotonic() < until:
            time.sleep(0.2)
            running = self.client.run(_running, workers=busy, on_error="ignore")
            busy = [address for address, running_keys in running.items() if keys & running_keys]
        if busy:
            self.client.restart_workers(busy, raise_for_error=False)

    def channel(self, name: str, capacity: int, queues: int = 1) -> Channel:
        """Return the driver's end of the channel ``name``; see `ritz.compute.cluster.channel.Channel`."""
        return Channel(self.client, name, capacity, queues)

    def rendezvous(self, size: int) -> AbstractContextManager[str]:
        """Open a rendezvous of ``size`` tasks; see `ritz.compute.cluster.rendezvous.rendezvous`."""
        return rendezvous(self.client, size)

    @contextmanager
    def listen(self, topic: str, handler: Callable[[dict[str, Any]], None]) -> Iterator[None]:
        """Call ``handler(message)`` for every message of a `Notifier` on ``topic``, until the end of the context."""
        self.client.subscribe_topic(topic, lambda event: handler(event[1]["message"]))
        try:
            yield
        finally:
            if self.presence.has_scheduler():
                self.client.unsubscribe_topic(topic)


def _running(dask_worker: Worker) -> set[Any]:
    return {task.key for task in dask_worker.state.all_running_tasks}


class Notifier:
    """Sends small messages at a bounded rate from a running task to the listener of a topic (see `Cluster.listen`)."""

    def __init__(self, topic: str) -> None:
        self.topic, self._last = topic, float("-inf")

    def __call__(self, message: dict[str, Any], *, last: bool = False) -> None:
        """Send a message if the previous one is `NOTIFY_EVERY` seconds old or this is the last; else drop it."""
        now = time.monotonic()
        if last or now - self._last >= NOTIFY_EVERY:
            self._last = now
            get_worker().log_event(self.topic, {"message": message})
