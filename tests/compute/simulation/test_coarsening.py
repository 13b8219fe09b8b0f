from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.fields.errors import relative_l2
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.problem import Problem
from ritz.compute.simulation.coarsening import Grids, coarsened


def test_coarser_problems_differ_in_their_grid_alone() -> None:
    assert coarsened(Darcy(shape=(32, 16)), 2) == Darcy(shape=(16, 8))
    assert coarsened(Burgers(points=64, steps=8), 4, 2) == Burgers(points=16, steps=4)
    assert coarsened(Heat(shape=(16, 16), steps=8), 1, 4) == Heat(shape=(16, 16), steps=2)


def test_marching_problems_keep_the_times_of_their_states_where_they_can() -> None:
    fine = KuramotoSivashinsky(points=32, steps=24, store_every=6, end=6.0)
    for time, (steps, store_every) in {2: (12, 3), 3: (8, 2), 6: (4, 1)}.items():
        coarse = coarsened(fine, 2, time)
        assert isinstance(coarse, KuramotoSivashinsky)
        assert (coarse.points, coarse.steps, coarse.store_every) == (16, steps, store_every)
        np.testing.assert_allclose(coarse.times, fine.times)
    # Of six steps in twelve, half of the times are left.
    rare = coarsened(fine, 1, 12)
    assert isinstance(rare, KuramotoSivashinsky)
    np.testing.assert_allclose(rare.times, fine.times[1::2])


def test_an_id_is_the_same_chaotic_state_where_steps_are_fewer() -> None:
    fine, ids = KuramotoSivashinsky(steps=8, end=2.0, spin_up=80), np.arange(4)
    coarse = coarsened(fine, 1, 2)
    assert isinstance(coarse, KuramotoSivashinsky)
    own, other = (one.draw(0, ids)["u0"] for one in (fine, coarse))
    assert np.all(relative_l2(other, own) < 0.1)
    assert np.all(relative_l2(other, own[::-1]) > 0.5)


def test_along_a_ring_interpolation_goes_round() -> None:
    problem = KuramotoSivashinsky(points=64, steps=4, store_every=2)
    grids = Grids.between(problem, 2, 1)
    assert isinstance(grids, Grids)

    def wave(one: Problem) -> np.ndarray:
        return np.sin(2 * np.pi * 3 * one.template(1)["x"].values / 22 + 0.3)[None, None].repeat(2, axis=1)

    wrong = np.abs(grids.prolong({"u": wave(grids.coarse)})["u"] - wave(problem))
    # As wrong at the ends as in the middle, which a spline that extrapolates is not.
    assert wrong.max() < 3e-4
    assert wrong[..., [0, -1]].max() < 2 * wrong[..., 20:40].max()
    shifted = np.roll(wave(grids.coarse), 5, axis=2)
    np.testing.assert_allclose(
        grids.prolong({"u": shifted})["u"], np.roll(grids.prolong({"u": wave(grids.coarse)})["u"], 10, 2), atol=1e-12
    )


@pytest.mark.parametrize(
    ("problem", "space", "time", "reason"),
    [
        (Darcy(shape=(12, 16)), 8, 1, r"shape is \(12, 16\), no multiple of 8"),
        (Darcy(shape=(16, 16)), 8, 1, "greater than or equal to 4"),
        (Darcy(), 1, 2, "no field steps"),
        (Heat(steps=6), 1, 4, "steps is 6, no multiple of 4"),
        (Plate(cells=16), 2, 1, "on a mesh"),
    ],
)
def test_what_cannot_be_made_coarser_says_why(problem, space, time, reason) -> None:
    import re

    found = coarsened(problem, space, time)
    assert isinstance(found, str)
    assert re.search(reason, found)
    assert Grids.between(problem, space, time) == found


def test_restricting_takes_means_of_cells_and_of_logarithms() -> None:
    rng = np.random.default_rng(0)
    a = np.exp(rng.standard_normal((3, 16, 8))).astype(np.float32)
    grids = Grids.between(Darcy(shape=(16, 8)), 2, 1)
    assert isinstance(grids, Grids)
    expected = np.exp(np.log(a.astype(np.float64)).reshape(3, 8, 2, 4, 2).mean(axis=(2, 4)))
    found = grids.restrict({"a": a})["a"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)

    burgers = Grids.between(Burgers(points=32, steps=4), 4, 1)
    assert isinstance(burgers, Grids)
    u0 = rng.standard_normal((2, 32)).astype(np.float32)
    np.testing.assert_allclose(burgers.restrict({"u0": u0})["u0"], u0.reshape(2, 8, 4).mean(axis=2), atol=1e-6)


def test_prolonging_is_exact_for_cubics_in_space_and_time() -> None:
    problem = Heat(shape=(16, 16), steps=16)
    grids = Grids.between(problem, 2, 2)
    assert isinstance(grids, Grids)
    assert isinstance(grids.coarse, Heat)

    def cubic(one: Heat) -> np.ndarray:
        t, y, x = (one.template(1)[dim].values for dim in ("time", "y", "x"))
        t = t / one.end
        return (1 + t[:, None, None] ** 3 * (2 - y[:, None] ** 3) * (x**2 + 3 * x**3))[None]

    found = grids.prolong({"u": cubic(grids.coarse)})["u"]
    np.testing.assert_allclose(found, cubic(problem), rtol=1e-9)


def test_a_coarse_solve_converges_to_the_fine_one() -> None:
    from ritz.compute.simulation.simulate import simulate
    from ritz.compute.solvers.factorization.direct import Direct

    problem = Darcy(shape=(64, 64))
    inputs = problem.draw(0, np.arange(2))
    fine, _ = simulate(problem, inputs, Direct(), 1e-10)
    errors = []
    for space in (4, 2):
        grids = Grids.between(problem, space, 1)
        assert isinstance(grids, Grids)
        coarse, _ = simulate(grids.coarse, grids.restrict(inputs), Direct(), 1e-10)
        errors.append(np.linalg.norm(grids.prolong(coarse)["u"] - fine["u"]) / np.linalg.norm(fine["u"]))
    # Second order: h² of 16 to 64 is (16 − 1), of 32 to 64 is (4 − 1) times that of 64.
    assert errors[1] < errors[0] / 3 < 0.02
