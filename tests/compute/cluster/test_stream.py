from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ritz.compute.cluster import forking
from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.stream import WINDOWS, groups, stream
from tests.compute.cluster.work import fail_at_seven, square, wait_for
from tests.patience import until


def test_every_item_comes_once_with_its_result(cluster: Cluster) -> None:
    seen = {
        done.item: (done.receipt[0], done.held.future.result().value)
        for done in stream(cluster, square, range(30), window=5, role="solve")
    }
    assert seen == {x: (x, x * x) for x in range(30)}


@pytest.mark.parametrize("window", [1, 3, 50])
def test_no_more_than_the_window_is_in_flight(cluster: Cluster, window: int) -> None:
    taken = []

    def items() -> Iterator[int]:
        for x in range(20):
            taken.append(x)
            yield x

    for done_before, _ in enumerate(stream(cluster, square, items(), window=window, role="solve")):
        assert len(taken) - done_before <= window
    assert len(taken) == 20


def test_a_receipt_does_not_wait_for_the_next_item(cluster: Cluster, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    items = [(0, ""), (1, ""), *((x, str(gate)) for x in range(2, 8))]
    completed = stream(cluster, wait_for, items, window=4, role="solve")
    assert {next(completed).item[0], next(completed).item[0]} == {0, 1}
    gate.touch()
    assert {done.item[0] for done in completed} == set(range(2, 8))


def test_groups_come_now_and_then_and_grow_for_a_quick_consumer(cluster: Cluster) -> None:
    every, window = 0.5, 4
    come, times = [], []
    for group in groups(cluster, square, range(80), window=window, role="solve", every=lambda: every):
        times.append(time.monotonic())
        come.append([(done.item, done.held.future) for done in group])
    assert sorted((x, future.result().value) for group in come for x, future in group) == [
        (x, x * x) for x in range(80)
    ]
    assert 2 * window < max(map(len, come)) <= (WINDOWS + 1) * window
    # The last one has nothing to wait for, and neither has a large one.
    waits = [later - before for before, later in pairwise(times[:-1])]
    large = window
    for wait, size in zip(waits, map(len, come[1:-1]), strict=True):
        assert wait > 0.9 * every or size >= large
        if size >= large:
            large = min(2 * large, WINDOWS * window)


def test_receipts_are_known_before_further_items_are_taken(cluster: Cluster) -> None:
    arrived: list[int] = []
    in_groups = 0

    def items() -> Iterator[int]:
        for x in range(24):
            ahead.append(len(arrived) - in_groups)
            assert x - len(arrived) < 4
            yield x

    ahead: list[int] = []
    several = groups(
        cluster,
        square,
        items(),
        window=4,
        role="solve",
        every=lambda: 0.3,
        arrived=lambda receipt: arrived.append(receipt[0]),
    )
    for group in several:
        in_groups += len(group)
    assert sorted(arrived) == list(range(24))
    # They were known before their group came.
    assert max(ahead) > 0


def test_workers_do_not_run_far_ahead_of_a_slow_consumer(cluster: Cluster) -> None:
    window, sizes = 4, []
    for group in groups(cluster, square, range(40), window=window, role="solve", every=lambda: 0.2):
        sizes.append(len(group))
        time.sleep(0.3)
    assert sum(sizes) == 40
    assert max(sizes) <= 2 * window


@pytest.mark.parametrize("every", [0.0, 0.3])
def test_work_of_a_killed_worker_is_done_again_in_a_later_group(cluster: Cluster, every: float) -> None:
    seen: list[int] = []
    for group in groups(cluster, square, range(60), window=6, role="solve", every=lambda: every):
        if not seen:
            os.kill(group[0].receipt[1], signal.SIGKILL)
        seen += [done.item for done in group]
    assert sorted(seen) == list(range(60))


def test_an_error_names_its_item_and_ends_the_stream(cluster: Cluster) -> None:
    with pytest.raises(ValueError, match="seven is refused") as caught:
        list(stream(cluster, fail_at_seven, range(20), window=4, role="solve"))
    assert caught.value.__notes__ == ["while working on 7"]


def test_two_streams_at_once_get_their_own_receipts(cluster: Cluster) -> None:
    one, other = (stream(cluster, square, items, window=3, role="solve") for items in (range(20), range(20, 40)))
    for mine, theirs in zip(one, other, strict=True):
        assert (mine.receipt[0], theirs.receipt[0]) == (mine.item, theirs.item)


def test_a_result_without_a_receipt_is_an_error(cluster: Cluster) -> None:
    with pytest.raises(AttributeError, match="'int' object has no attribute 'receipt'"):
        list(stream(cluster, abs, range(3), window=2, role="solve"))  # type: ignore[arg-type]


def test_work_of_a_killed_worker_is_done_again(cluster: Cluster) -> None:
    seen = []
    for done in stream(cluster, square, range(40), window=6, role="solve"):
        seen.append(done.item)
        if len(seen) == 10:
            os.kill(done.receipt[1], signal.SIGKILL)
    assert sorted(seen) == list(range(40))


def test_a_held_result_survives_the_death_of_its_worker(cluster: Cluster) -> None:
    held = list(stream(cluster, square, range(8), window=8, role="solve"))
    for pid in {done.receipt[1] for done in held}:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    assert sorted(done.held.future.result(timeout=60).value for done in held) == [x * x for x in range(8)]


def test_a_window_without_room_is_refused_instead_of_starting_nothing(cluster: Cluster) -> None:
    with pytest.raises(ValueError, match="window is 0"):
        list(stream(cluster, square, range(3), window=0, role="solve"))


def test_a_window_has_room_where_no_worker_is_there_at_the_moment(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster.window("solve") == 2 * cluster.workers("solve")
    monkeypatch.setattr(cluster, "workers", lambda _: 0)
    assert cluster.window("solve") == 2


def test_workers_are_counted_whatever_the_client_looks_up_meanwhile(cluster: Cluster) -> None:
    async def look() -> None:
        # What the client does by itself every two seconds.
        await cluster.client._update_scheduler_info()

    # One that a test before this has killed counts again when it is admitted.
    until(lambda: cluster.workers("solve") == 2)
    looking = True

    def look_on() -> None:
        while looking:
            cluster.client.sync(look)

    thread = threading.Thread(target=look_on)
    thread.start()
    try:
        assert {cluster.workers("solve") for _ in range(50)} == {2}
    finally:
        looking = False
        thread.join()


def test_starting_workers_leaves_the_environment_of_the_driver_as_it_was(cluster: Cluster) -> None:
    # A test before this may have killed one, which starts again.
    until(lambda: cluster.workers("solve") == 2)
    until(lambda: not {"PYTHONSAFEPATH", "MALLOC_TRIM_THRESHOLD_"} & os.environ.keys())


def test_the_environment_is_left_when_the_last_worker_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(forking._BEFORE, "RITZ_TEST_BOTH", "before")
    monkeypatch.setenv("RITZ_TEST_BOTH", "before")
    with forking.environment({"RITZ_TEST_BOTH": "1", "RITZ_TEST_SECOND": "2"}):
        with forking.environment({"RITZ_TEST_BOTH": "1"}):
            pass
        assert (os.environ["RITZ_TEST_BOTH"], os.environ["RITZ_TEST_SECOND"]) == ("1", "2")
    assert os.environ["RITZ_TEST_BOTH"] == "before"
    assert "RITZ_TEST_SECOND" not in os.environ
