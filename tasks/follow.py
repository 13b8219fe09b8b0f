from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from compute.cluster.channel import Abandoned
from compute.cluster.cluster import Cluster, WorkersLost
from compute.cluster.meeting import Missed
from compute.training.group import PeerLost
from tasks.progress import Reporter

log = logging.getLogger("ritz")

POLL = 0.2

GRACE = 10.0
"""Seconds that the other ranks have to end by themselves when one has failed."""

STARTS = 20
"""How often a group of ranks is started before it is given up."""

_LOST = (PeerLost, Missed, Abandoned, WorkersLost)
"""What a rank ends with when it is another that has died."""

Check = Callable[[], None]
"""Called all the while; what it raises ends the work."""


def follow(
    cluster: Cluster,
    report: Reporter,
    topic: str,
    function: Callable[[Any], Any],
    job: Any,
    check: Check = lambda: None,
) -> Any:
    """Do a job on the train worker, report the steps that it tells about ``topic``, and return its result.

    Raises
    ------
    WorkersLost
        If the train worker died again and again.
    """
    with _shown(cluster, report, topic) as show:
        future = cluster.submit("train", function, job)
        _wait([future], show, check)
        return cluster.result(future)


def follow_ranks(
    cluster: Cluster,
    report: Reporter,
    topic: str,
    function: Callable[[Any], Any],
    jobs: Callable[[str], Sequence[Any]],
    ranks: int,
    check: Check = lambda: None,
) -> Any:
    """Do the jobs of ranks that work together, each on a train worker, and return the result of the first.

    When one of them dies all are started again, and go on from their checkpoint.

    Parameters
    ----------
    jobs
        Given the name of the meeting of the ranks (see `compute.cluster.meeting`), returns the job of each.

    Raises
    ------
    WorkersLost
        If that happened `STARTS` times.
    """
    with _shown(cluster, report, topic) as show:
        nobody_died = False
        for _ in range(STARTS):
            with cluster.meeting(ranks) as meeting:
                futures = [cluster.submit("train", function, job) for job in jobs(meeting)]
                _wait(futures, show, check)
                results, errors = _ended(cluster, futures)
            for error in errors:
                if not isinstance(error, _LOST):
                    raise error
            if not errors:
                return results[0]
            # Of a rank that died no task says so. Once that may be chance; what then is wrong is how they connect.
            if nobody_died and all(isinstance(error, PeerLost) for error in errors):
                raise errors[0]
            nobody_died = len(errors) == ranks and all(isinstance(error, PeerLost) for error in errors)
            log.warning("train: a rank was lost (%s); all %d go on from their checkpoint", errors[0], ranks)
    raise WorkersLost(f"ranks that train were lost {STARTS} times, the last time with: {errors[0]}") from errors[0]


@contextmanager
def _shown(cluster: Cluster, report: Reporter, topic: str) -> Iterator[Callable[[], None]]:
    """Report the newest state that workers tell about a topic whenever what is yielded is called, and at the end."""
    # It comes in a thread of the cluster's client, where no stage is known.
    told: deque[dict[str, Any]] = deque([{"step": 0, "loss": None}], maxlen=1)
    reported = -1

    def show() -> None:
        nonlocal reported
        state = told[0]
        if state["step"] > reported:
            reported = state["step"]
            report(reported, "" if state["loss"] is None else f"loss {state['loss']:.3g}")

    with cluster.listen(topic, told.append):
        yield show
    show()


def _wait(futures: Sequence[Any], show: Callable[[], None], check: Check) -> None:
    """Wait until all futures have come, or one of them has failed."""
    try:
        while not all(future.done() for future in futures) and all(future.status != "error" for future in futures):
            check()
            show()
            time.sleep(POLL)
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def _ended(cluster: Cluster, futures: Sequence[Any]) -> tuple[list[Any], list[Exception]]:
    """Return the results of the futures and what failed; those that do not end are given up and count as lost."""
    until = time.monotonic() + GRACE
    while not all(future.done() for future in futures) and time.monotonic() < until:
        time.sleep(POLL)
    results: list[Any] = []
    errors: list[Exception] = []
    left = [future for future in futures if not future.done()]
    cluster.give_up(left, GRACE)
    for rank, future in enumerate(futures):
        try:
            if future in left:
                raise Abandoned(f"rank {rank} did not end")
            results.append(cluster.result(future))
        except Exception as error:  # noqa: BLE001 (which of them is the cause is seen when all have come)
            errors.append(error)
    return results, errors
