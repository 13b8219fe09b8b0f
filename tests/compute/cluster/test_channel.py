from __future__ import annotations

import threading
import time

import pytest

from compute.cluster.channel import ConsumerFailed
from compute.cluster.cluster import Cluster
from compute.cluster.stream import stream
from tests.compute.cluster.work import square, take


def test_a_consumer_gets_everything_while_it_is_made(cluster: Cluster) -> None:
    channel = cluster.channel("everything", 3)
    consumer = cluster.submit("train", take, "everything", 25, 0.0)
    for done in stream(cluster, square, range(25), window=4, role="solve"):
        channel.put(done.held)
    assert sorted(cluster.result(consumer)) == [x * x for x in range(25)]
    channel.close()


def test_a_slow_consumer_slows_the_producer(cluster: Cluster) -> None:
    channel = cluster.channel("slow", 2)
    consumer = cluster.submit("train", take, "slow", 12, 0.1)
    start = time.monotonic()
    for put, done in enumerate(stream(cluster, square, range(12), window=4, role="solve"), 1):
        channel.put(done.held)
        # One is being worked on, one is fetched, two wait: nothing runs further ahead of a consumer of 0.1 s each.
        assert put <= (time.monotonic() - start) / 0.1 + 5
    assert len(cluster.result(consumer)) == 12
    channel.close()


def test_a_value_that_is_taken_wakes_the_producer(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would look again by itself only after a minute."""
    monkeypatch.setattr("compute.cluster.channel.LOOK", 60.0)
    channel, start = cluster.channel("woken", 1), time.monotonic()
    consumer = cluster.submit("train", take, "woken", 8, 0.1)
    for done in stream(cluster, square, range(8), window=2, role="solve"):
        channel.put(done.held)
    assert time.monotonic() - start < 50
    assert len(cluster.result(consumer)) == 8
    channel.close()


def test_a_waiting_producer_learns_that_its_consumer_failed(cluster: Cluster) -> None:
    channel = cluster.channel("nobody", 1)
    threading.Timer(0.5, channel.consumer_failed).start()

    def produce() -> None:
        for done in stream(cluster, square, range(10), window=2, role="solve"):
            channel.put(done.held)

    with pytest.raises(ConsumerFailed, match="'nobody'"):
        produce()
    channel.close()


def test_a_waiting_producer_goes_on_when_its_consumer_has_finished(cluster: Cluster) -> None:
    channel = cluster.channel("sated", 1)
    threading.Timer(0.5, channel.consumer_finished).start()
    put = 0
    for done in stream(cluster, square, range(10), window=2, role="solve"):
        channel.put(done.held)
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


def test_a_full_lane_does_not_keep_a_value_from_an_empty_one(cluster: Cluster) -> None:
    """Consumers that work in step: the one of the full lane takes no more before the other has got something."""
    channel, values = cluster.channel("lanes", 2, lanes=2), [cluster.submit("solve", square, x) for x in range(8)]
    filled = threading.Event()

    def produce() -> None:
        for value in values[:6]:
            channel.put(value, 0)
        filled.set()
        channel.put(values[6], 1)
        channel.put(values[7], 0)

    producer = threading.Thread(target=produce)
    producer.start()
    assert filled.wait(10), "the other lane is empty"
    time.sleep(0.3)
    assert producer.is_alive(), "now both lanes hold something, and the first is full"
    assert cluster.call("train", take, "lanes", 1, 0.0, 1) == [36]
    producer.join(10)
    assert not producer.is_alive()
    assert cluster.call("train", take, "lanes", 7, 0.0, 0) == [0, 1, 4, 9, 16, 25, 49]
    channel.close()
