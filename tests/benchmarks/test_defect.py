from dataclasses import replace

import numpy as np
import pytest

from benchmarks.defect import SHAPES, Case, answering, sizes, smooth, study
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.poisson import Poisson
from ritz.compute.solvers.multigrid.multigrid import Multigrid


@pytest.mark.parametrize("problem", [Heat(shape=(6, 8), steps=2), Plate(cells=8)], ids=["time", "mesh"])
def test_an_error_is_that_of_its_id_in_any_block(problem):
    whole = smooth(problem, np.arange(4))
    part = smooth(problem, np.array([2, 3]))
    for name, values in whole.items():
        assert values.shape[1:] == problem.template(1)[name].shape[1:]
        assert np.array_equal(values[2:], part[name])
        assert values[0].std() > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_left_of_the_error_is_measured(shape):
    case = Case("darcy", Darcy(shape=(12, 12)), error=0.1, block=3, shape=shape)
    found = study(case, 6, Multigrid(), timed=False)
    errors = np.concatenate(found.errors)
    assert errors.shape == (6, 3)
    assert 0.1 / 3 <= errors[:, 0].min() <= errors[:, 0].max() <= 0.3
    assert found.left(1) == pytest.approx(np.median(errors[:, 1] / errors[:, 0]))
    assert found.left(1) < 0.02
    assert found.failed == 0
    assert min(found.ranks()) > 0.99
    assert answering(case) == "multigrid"
    assert answering(replace(case, problem=Poisson(shape=(12, 12)))) == "transform (exact)"


def test_the_time_of_three_ways_is_taken():
    found = study(Case("darcy", Darcy(shape=(12, 12)), error=0.1, block=4), 4, Multigrid(), timed=True)
    assert list(found.seconds) == ["one", "two", "full"]
    assert all(len(seconds) == 3 and min(seconds) > 0 for seconds in found.seconds.values())


def test_outputs_count_together():
    assert sizes({"u": np.full((2, 9), 1.0), "v": np.full((2, 4, 4), 1.0)}) == pytest.approx([5.0, 5.0])
