from __future__ import annotations

import time

import pytest

from ritz.compute.evaluation.cost import break_even, timed


@pytest.mark.parametrize(
    ("spent", "solver", "surrogate", "queries"),
    [
        (100.0, 0.3, 0.1, 500),
        (100.0, 0.31, 0.1, 477),
        (0.0, 0.3, 0.1, 0),
        (100.0, 0.1, 0.1, None),
        (1.0, 0.1, 0.2, None),
        (1.0, float("nan"), 0.2, None),
    ],
)
def test_break_even(spent: float, solver: float, surrogate: float, queries: int | None) -> None:
    assert break_even(spent, solver, surrogate) == queries
    if queries:
        assert queries * solver >= spent + queries * surrogate - 1e-9
        assert (queries - 1) * solver < spent + (queries - 1) * surrogate


def test_a_call_is_timed_without_its_first_time() -> None:
    calls: list[int] = []

    def slow_at_first() -> None:
        time.sleep(0.2 if not calls else 0.002)
        calls.append(1)

    found = timed(slow_at_first, repeats=5)
    assert (found["calls"], len(calls)) == (5, 6)
    assert 0.002 <= found["least"] <= found["median"]
    assert found["least"] < 0.2
    assert timed(lambda: None, repeats=9, limit=0.0)["calls"] == 3
