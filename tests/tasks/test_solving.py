from __future__ import annotations

import pytest

from ritz.tasks.documents.solving import Solving


def used(**changes: float) -> Solving:
    """One hundred shards of 32 samples by 10 workers in 10 s, with changes."""
    found = Solving(workers=10, shards=100, shard=32, seconds=10.0, tasks=20.0, driver=9.0, waited=0.0)
    return found.changed(**changes).judged()


def test_a_driver_that_cannot_keep_up_is_named_with_the_shard_that_cures_it() -> None:
    found = used()
    assert found.busy == pytest.approx(0.2)
    assert (
        "the driver was the bottleneck, at 90.0 ms per shard; with data.shard=256 (now 32, 200 ms each)"
        in found.verdict
    )
    # Tasks eight times as long, at the same cost per shard.
    cured = used(shards=13, tasks=20.0, seconds=20.0 / 10 / 0.95, driver=13 * 0.09)
    assert cured.verdict == ""
    assert cured.driver < 0.7 * cured.seconds


def test_a_trainer_that_takes_its_time_is_no_fault_of_the_driver() -> None:
    assert used(waited=8.0).verdict.endswith("they waited for the trainer to take samples")


@pytest.mark.parametrize(
    "changes", [{"tasks": 95.0}, {"driver": 3.0}, {"shards": 79}], ids=["busy", "idle driver", "few shards"]
)
def test_nothing_is_said_where_nothing_held_them_up_or_too_little_is_known(changes: dict[str, float]) -> None:
    assert used(**changes).verdict == ""
