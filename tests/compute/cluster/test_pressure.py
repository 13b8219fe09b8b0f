from __future__ import annotations

from typing import Any

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.stream import stream
from tests.compute.cluster.work import solved, take

WINDOW, CAPACITY = 4, 3


def _held(dask_scheduler: Any) -> int:
    """Count the results of `solved` that lie in the memory of workers, or are being made."""
    tasks = [task for key, task in dask_scheduler.tasks.items() if str(key).startswith("solved-")]
    return sum(task.state in ("memory", "processing") for task in tasks)


def test_a_slow_trainer_bounds_the_fields_that_are_held_however_many_there_are(cluster: Cluster) -> None:
    most = {}
    for count in (15, 45):
        channel = cluster.channel(f"bounded-{count}", CAPACITY)
        consumer = cluster.submit("train", take, f"bounded-{count}", count, 0.03)
        seen = []
        for done in stream(cluster, solved, range(count), window=WINDOW, role="solve"):
            channel.put([done.held])
            del done
            seen.append(cluster.client.run_on_scheduler(_held))
        assert sorted(cluster.result(consumer)) == list(range(count))
        channel.close()
        most[count] = max(seen)
    # In the window, in the channel, one with the trainer, and one that was just handed over: of 15 as of 45.
    for held in most.values():
        assert WINDOW <= held <= WINDOW + CAPACITY + 2
