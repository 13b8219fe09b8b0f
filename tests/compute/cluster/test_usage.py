"""What workers took, from what their heartbeats say."""

from __future__ import annotations

from typing import Any

import pytest

from ritz.compute.cluster.usage import METRIC, UsageMeter

HOUR = 3600.0


def said(host: str, age: float, cpu: float, threads: int = 1) -> dict[str, Any]:
    return {"host": host, "metrics": {METRIC: {"age": age, "cpu": cpu, "threads": threads}}}


def test_workers_count_from_their_start_to_the_last_look() -> None:
    meter = UsageMeter(begun=0.0)
    meter.observe({"a": said("n1", 100, 50), "b": said("n1", 100, 20, threads=4), "c": {"metrics": {}}}, now=200.0)
    meter.observe({"a": said("n1", HOUR, 1800)}, now=100 + HOUR)
    # b has gone after 100 s; c, which says nothing, is none that works for this run.
    meter.observe({"d": said("n2", 10, 5)}, now=110 + HOUR)
    meter.observe({"d": said("n2", HOUR, 900)}, now=100 + 2 * HOUR)
    usage = meter.total()
    assert usage.core_hours == pytest.approx((HOUR + 4 * 100 + HOUR) / HOUR, abs=1e-6)
    assert usage.cpu_hours == pytest.approx((1800 + 20 + 900) / HOUR, abs=1e-6)
    assert usage.efficiency == pytest.approx(2720 / 7600, abs=1e-4)
    # The time of two workers on one node counts once.
    assert usage.node_hours == pytest.approx(2.0, abs=1e-6)
    assert (usage.workers, usage.nodes) == (3, 2)


def test_a_worker_that_was_there_before_counts_from_when_the_run_began() -> None:
    meter = UsageMeter(begun=1000.0)
    meter.observe({"a": said("n1", 90_000, 80_000)}, now=1001.0)
    meter.observe({"a": said("n1", 90_000 + HOUR - 1, 80_000 + 360)}, now=1000 + HOUR)
    usage = meter.total()
    assert (usage.core_hours, usage.cpu_hours, usage.efficiency) == (1.0, 0.1, 0.1)


def test_attempts_add_up() -> None:
    first, second = UsageMeter(begun=0.0), UsageMeter(begun=0.0)
    first.observe({"a": said("n1", HOUR, HOUR)}, now=HOUR)
    second.observe({"a": said("n1", HOUR, 0), "b": said("n2", HOUR, 0)}, now=HOUR)
    usage = second.total().after([first.total()])
    assert (usage.core_hours, usage.node_hours, usage.efficiency) == (3.0, 3.0, pytest.approx(1 / 3, abs=1e-4))
    assert (usage.workers, usage.nodes, usage.attempts) == (3, 2, 2)
    assert UsageMeter().total().efficiency is None
