from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable

import pytest

from ritz.compute.cluster.channel import ConsumerFailed, Held
from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.consumer import ConsumerQueue
from ritz.compute.cluster.stream import stream
from tests.compute.cluster.work import hold, square, take


def test_a_consumer_gets_everything_while_it_is_made(cluster: Cluster) -> None:
    channel = cluster.channel("everything", 3)
    consumer = cluster.submit("train", take, "everything", 25, 0.0)
    for done in stream(cluster, square, range(25), window=4, role="solve"):
        channel.put([done.held])
    assert sorted(cluster.result(consumer)) == [x * x for x in range(25)]
    channel.close()


def test_a_slow_consumer_slows_the_producer(cluster: Cluster) -> None:
    channel = cluster.channel("slow", 2)
    consumer = cluster.submit("train", take, "slow", 12, 0.1)
    start = time.monotonic()
    for put, done in enumerate(stream(cluster, square, range(12), window=4, role="solve"), 1):
        channel.put([done.held])
        # One is being worked on, one is fetched, two wait: nothing runs further ahead of a consumer of 0.1 s each.
        assert put <= (time.monotonic() - start) / 0.1 + 5
    assert len(cluster.result(consumer)) == 12
    channel.close()


def made(cluster: Cluster, items: Iterable[int]) -> list[Held]:
    """Return values in the order of the items."""
    done = stream(cluster, square, items, window=4, role="solve")
    return [one.held for one in sorted(done, key=lambda one: one.item)]


def test_many_at_once_come_in_order_and_are_let_go_of(cluster: Cluster) -> None:
    channel = cluster.channel("many", 4)
    values = made(cluster, range(10))
    consumer = cluster.submit("train", take, "many", 10, 0.0)
    channel.put(values)
    assert not values
    assert cluster.result(consumer) == [x * x for x in range(10)]
    channel.close()


def test_what_a_dead_consumer_had_not_fetched_comes_to_its_successor(cluster: Cluster) -> None:
    """Also what was made by a worker that has died since: it is made again. Three are taken, a fourth is fetched."""
    channel = cluster.channel("heir", 3)
    consumer = cluster.submit("train", hold, "heir", 3)
    channel.put(made(cluster, range(6)))
    consumer.cancel()
    for pid in cluster.client.run(os.getpid).values():
        os.kill(pid, signal.SIGKILL)
    assert cluster.call("train", take, "heir", 3, 0.0) == [9, 16, 25]
    channel.close()


def test_values_whose_makers_have_died_since_come_without_a_long_call_for_them(cluster: Cluster) -> None:
    channel, values = cluster.channel("gone", 1), made(cluster, range(8))
    consumer = cluster.submit("train", take, "gone", 8, 0.0)
    # The second one waits until the first has been fetched: the consumer listens.
    channel.put(values[:2])
    for pid in cluster.client.run(os.getpid, workers=cluster.addresses("solve")).values():
        os.kill(pid, signal.SIGKILL)
    start = time.monotonic()
    channel.put(values[2:])
    assert cluster.result(consumer) == [x * x for x in range(8)]
    # For each Dask itself would call for half a minute.
    assert time.monotonic() - start < 30
    channel.close()


def test_a_waiting_producer_learns_that_its_consumer_failed(cluster: Cluster) -> None:
    channel = cluster.channel("nobody", 1)
    threading.Timer(0.5, channel.consumer_failed).start()

    def produce() -> None:
        for done in stream(cluster, square, range(10), window=2, role="solve"):
            channel.put([done.held])

    with pytest.raises(ConsumerFailed, match="'nobody'"):
        produce()
    channel.close()


def test_a_waiting_producer_goes_on_when_its_consumer_has_finished(cluster: Cluster) -> None:
    channel = cluster.channel("sated", 1)
    threading.Timer(0.5, channel.consumer_finished).start()
    put = 0
    for done in stream(cluster, square, range(10), window=2, role="solve"):
        channel.put([done.held])
        put += 1
    assert put == 10
    channel.close()


def test_a_consumer_that_nobody_waits_for_stops(cluster: Cluster) -> None:
    consumer = cluster.submit("train", take, "forgotten", 1, 0.0)
    while consumer.status == "pending" and not cluster.client.processing():
        time.sleep(0.05)
    time.sleep(0.5)
    consumer.cancel()
    # The only train worker is free again once the forgotten task has noticed.
    assert cluster.call("train", abs, -3) == 3


def test_a_full_queue_does_not_keep_a_value_from_an_empty_one(cluster: Cluster) -> None:
    """Consumers that work in step: the one of the full queue takes no more before the other has got something."""
    channel, values = cluster.channel("queues", 2, queues=2), made(cluster, range(8))
    filled = threading.Event()

    def produce() -> None:
        for value in values[:6]:
            channel.put([value])
        filled.set()
        channel.put([values[6]], 1)
        channel.put([values[7]])

    producer = threading.Thread(target=produce)
    producer.start()
    assert filled.wait(10), "the other queue is empty"
    time.sleep(0.3)
    assert producer.is_alive(), "now both queues hold something, and the first is full"
    assert cluster.call("train", take, "queues", 1, 0.0, 1) == [36]
    producer.join(10)
    assert not producer.is_alive()
    assert cluster.call("train", take, "queues", 7, 0.0, 0) == [0, 1, 4, 9, 16, 25, 49]
    channel.close()


def test_nothing_is_lost_before_the_scheduler_knows_who_listens(cluster: Cluster) -> None:
    subscriptions = []

    class Late:
        """A client whose subscriptions take a while to reach the scheduler."""

        unsubscribe_topic = cluster.client.unsubscribe_topic

        def subscribe_topic(self, *subscription: object) -> None:
            subscriptions.append(subscription)

    channel, values, taken = cluster.channel("late", 20), made(cluster, range(8)), set[str]()
    expected = {str(value.future.key) for value in values}
    keys = ConsumerQueue("late", 0, Late(), cluster.client.log_event)  # type: ignore[arg-type]
    for attempt in range(16):
        if attempt == 3:
            cluster.client.subscribe_topic(*subscriptions.pop())
        channel.put(values[:1])
        del values[:1]
        time.sleep(0.1)
        taken |= {one[0] for one in [keys.take()] if one is not None}
    assert taken == expected
    keys.close()
    channel.close()
