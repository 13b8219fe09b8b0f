from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import navier_stokes_fno as benchmark
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.spectral.fno import FNO

CASE = benchmark.Case(1e-3, end=12, per_unit=4, in_steps=0.01, at_once=0.01)
NETWORK = FNO(modes=4, width=4, layers=1, coordinates=False)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "CELLS", 16)
    monkeypatch.setattr(benchmark, "WAYS", {benchmark.STEPS: Stepping(inner=NETWORK), benchmark.ONCE: NETWORK})


def test_samples_are_solved_once_and_only_while_there_is_time(tmp_path: Path) -> None:
    assert benchmark.states(tmp_path, CASE, 0, 40, until=0.0).shape == (0, 12, 16, 16)
    solved = benchmark.states(tmp_path, CASE, 0, 20, until=math.inf)
    assert np.isfinite(solved).all()
    assert benchmark.solving(tmp_path, CASE) > 0
    np.testing.assert_array_equal(benchmark.states(tmp_path, CASE, 0, 40, until=0.0), solved)


@pytest.mark.parametrize("way", [benchmark.STEPS, benchmark.ONCE])
def test_a_training_that_is_cut_after_every_update_ends_as_one_that_is_not(tmp_path: Path, way: str) -> None:
    train = benchmark.states(tmp_path, CASE, 0, 20, until=math.inf)
    cut = benchmark.resumed(tmp_path, CASE, way, train, updates=5)
    assert cut.model() is None
    done = list[float]()
    while not done or done[-1] < 5:
        cut.go(0.0)
        done.append(cut.took()["updates"])
    assert done == [1, 2, 3, 4, 5]
    seconds = cut.took()["seconds"]
    cut.go(math.inf)
    assert cut.took() == {"updates": 5, "total": 5, "seconds": seconds}
    (tmp_path / "whole").mkdir()
    whole = benchmark.resumed(tmp_path / "whole", CASE, way, train, updates=5)
    whole.go(math.inf)
    models = [cut.model(), whole.model()]
    (one, _), (other, _) = (benchmark.predicted(found, way, train[:2]) for found in models if found is not None)
    assert one.shape == (2, 2, 16, 16)
    np.testing.assert_array_equal(one, other)
