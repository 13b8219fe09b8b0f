from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from ritz.compute.cluster.cluster import Cluster, WorkersLost
from ritz.compute.cluster.connection import Unreached
from ritz.compute.cluster.consumer import Abandoned
from ritz.compute.cluster.rendezvous import Missed
from ritz.compute.training.ranks.group import PeerLost
from ritz.tasks.driver.progress import Reporter

log = logging.getLogger("ritz")

POLL = 0.2

GRACE = 10.0
"""Seconds that the other ranks have to end by themselves when one has failed."""

LOOK = 2.0
"""Seconds between two looks whether the workers are still there: of one that dies no task of its own says so."""

STARTS = 20
"""How often a group of ranks is started before it is given up."""

_LOST = (PeerLost, Missed, Abandoned, Unreached, WorkersLost)
"""What a rank ends with when it, or another, is lost; all can go on from their checkpoint."""

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
        If the train worker died again and again, or could not connect.
    ritz.compute.cluster.errors.ClusterError
        If the scheduler is gone, or there has been no train worker for too long.
    """
    with _shown(cluster, report, topic) as show:
        future = cluster.submit("train", function, job)
        _wait(cluster, [future], show, check)
        try:
            return cluster.result(future)
        except Unreached as error:
            raise WorkersLost(str(error)) from error


def follow_each(
    cluster: Cluster,
    report: Reporter,
    function: Callable[[Any], Any],
    jobs: Mapping[str, Any],
) -> list[Any]:
    """Do jobs that know nothing of each other, each on any train worker that is free; return their results in order.

    Parameters
    ----------
    report
        Of the steps of all jobs together.
    jobs
        By the topic about which each tells its steps.

    Raises
    ------
    WorkersLost
        As `follow`. The others are cancelled when one job fails.
    """
    done = dict.fromkeys(jobs, 0)

    def one_of(topic: str) -> Callable[[int, str], None]:
        def reported(step: int, note: str) -> None:
            done[topic] = step
            report(sum(done.values()), note)

        return reported

    with ExitStack() as stack:
        shows = [stack.enter_context(_shown(cluster, one_of(topic), topic)) for topic in jobs]

        def show() -> None:
            for each in shows:
                each()

        futures = [cluster.submit("train", function, job) for job in jobs.values()]
        _wait(cluster, futures, show, lambda: None)
        failed = [future for future in futures if future.status == "error"]
        cluster.cancel([future for future in futures if failed and not future.done()])
        try:
            return [cluster.result(future) for future in failed or futures]
        except Unreached as error:
            raise WorkersLost(str(error)) from error


def follow_ranks(
    cluster: Cluster,
    report: Reporter,
    topic: str,
    function: Callable[[Any], Any],
    jobs: Callable[[str], Sequence[Any]],
    ranks: int,
    check: Check = lambda: None,
) -> Any:
    """Do the jobs of ranks that work together, each on a train worker of its own, and return the result of the first.

    When one of them dies all are started again, and go on from their checkpoint. Dask alone would put two that wait for
    each other on one worker, where there is no other yet because it has just died.

    Parameters
    ----------
    jobs
        Given the name of the rendezvous of the ranks (see `ritz.compute.cluster.rendezvous`), returns the job of each.

    Raises
    ------
    WorkersLost
        If that happened `STARTS` times.
    ritz.compute.cluster.errors.ClusterError
        If the scheduler is gone, or there have been fewer workers than ranks for too long.
    """
    with _shown(cluster, report, topic) as show:
        nobody_died = False
        for _ in range(STARTS):
            places = _places(cluster, ranks, check)
            with cluster.rendezvous(ranks) as rendezvous:
                pairs = zip(places, jobs(rendezvous), strict=True)
                futures = [cluster.submit_to(place, "train", function, job) for place, job in pairs]
                _wait(cluster, futures, show, check, partial(_there, cluster, places))
                results, errors = _ended(cluster, futures, places)
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
    raise WorkersLost(f"training ranks were lost {STARTS} times, the last time with: {errors[0]}") from errors[0]


@contextmanager
def _shown(cluster: Cluster, report: Callable[[int, str], None], topic: str) -> Iterator[Callable[[], None]]:
    """Report the newest state that workers tell about a topic whenever what is yielded is called, and at the end."""
    # It comes in a thread of the cluster's client, where no stage is known.
    states: deque[Mapping[str, Any]] = deque([{"step": 0, "loss": None}], maxlen=1)
    reported = -1

    def show() -> None:
        nonlocal reported
        state = states[0]
        if state["step"] > reported:
            reported = state["step"]
            report(reported, "" if state["loss"] is None else f"loss {state['loss']:.3g}")

    with cluster.listen(topic, states.append):
        yield show
    show()


def _places(cluster: Cluster, ranks: int, check: Check) -> list[str]:
    """Return the addresses of as many train workers as there are ranks; one that has died may have to come back."""
    while len(found := cluster.addresses("train")) < ranks:
        check()
        cluster.presence.check("train", ranks)
        time.sleep(POLL)
    return found[:ranks]


def _there(cluster: Cluster, places: Collection[str]) -> bool:
    """Return whether workers are still there."""
    return set(places) <= set(cluster.addresses("train"))


def _wait(
    cluster: Cluster,
    futures: Sequence[Any],
    show: Callable[[], None],
    check: Check,
    there: Callable[[], bool] = lambda: True,
) -> None:
    """Wait until all futures have come, one of them has failed, or their workers are not ``there`` any more."""
    looked = time.monotonic()
    try:
        while not all(future.done() for future in futures) and all(future.status != "error" for future in futures):
            check()
            cluster.presence.check("train")
            show()
            time.sleep(POLL)
            if time.monotonic() - looked > LOOK:
                looked = time.monotonic()
                if not there():
                    return
    except BaseException:
        cluster.cancel(futures)
        raise


def _ended(cluster: Cluster, futures: Sequence[Any], places: Sequence[str]) -> tuple[list[Any], list[Exception]]:
    """Return the results of the futures and what failed; those that do not end are given up and count as lost."""
    until = time.monotonic() + GRACE
    while time.monotonic() < until:
        late = {place for future, place in zip(futures, places, strict=True) if not future.done()}
        if not late & set(cluster.addresses("train")):
            break
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
