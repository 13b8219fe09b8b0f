from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from ritz.compute.problems.darcy import Darcy
from ritz.compute.sampling.order import order
from ritz.tasks.generation import worker as solve
from ritz.tasks.generation.worker import FeatureBlock, features
from ritz.tasks.recipes import load, names
from tests.tasks.own_problem import Scaling

SAMPLES = 48


@pytest.mark.parametrize("recipe", names())
def test_the_order_of_a_recipe_is_the_same_however_few_samples_are_drawn_at_a_time(
    recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = load(recipe)
    problem, seed = pipeline.problem, pipeline.data.seed
    whole = problem.features(problem.draw(seed, np.arange(SAMPLES)))
    for at_once in (1, 7):
        values = sum(one.size for one in problem.template(1).data_vars.values() if one.attrs["role"] == "input")
        monkeypatch.setattr(solve, "AT_ONCE", at_once * solve.DRAWN * values)
        found = features(FeatureBlock(problem, seed, 0, SAMPLES)).receipt
        np.testing.assert_array_equal(found, whole)
        np.testing.assert_array_equal(order(found), order(whole))


def test_a_block_that_does_not_begin_at_0_is_whole_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solve, "AT_ONCE", 3 * solve.DRAWN * 8)
    drawn = Scaling().draw(0, np.arange(5, 25))
    np.testing.assert_array_equal(features(FeatureBlock(Scaling(), 0, 5, 25)).receipt, Scaling().features(drawn))


def test_drawing_for_features_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solve, "AT_ONCE", 2**22)
    peaks = []
    for samples in (64, 256):
        tracemalloc.start()
        features(FeatureBlock(Darcy(shape=(64, 64)), 0, 0, samples))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 2 * 2**22
    assert peaks[1] < 1.1 * peaks[0]
