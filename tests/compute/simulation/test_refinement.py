from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.laws import TwoPhase
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.coarsening import coarsened
from ritz.compute.simulation.refinement import STRANGE, on_own_points, refined, strangeness

IDS = np.arange(4)


@pytest.mark.parametrize(
    "problem",
    [
        Darcy(shape=(8, 12)),
        Burgers(points=16, steps=4),
        Heat(shape=(8, 8), steps=2),
        KuramotoSivashinsky(points=16, steps=6, store_every=3, spin_up=5),
    ],
)
def test_what_is_refined_is_coarsened_to_what_it_was(problem: Problem) -> None:
    fine = refined(problem)
    assert isinstance(fine, Problem)
    assert coarsened(fine, 2, 2 if hasattr(problem, "steps") else 1) == problem


def test_what_cannot_be_refined_says_why() -> None:
    assert refined(Plate(cells=8)) == "fields on a mesh are not carried to another one"
    assert refined(Darcy(shape=(8192, 8192))) == "Input should be less than or equal to 8192"


@pytest.mark.parametrize(
    "problem",
    [
        Darcy(shape=(16, 16)),
        Darcy(shape=(16, 16), law=TwoPhase()),
        Heat(steps=1),
        KuramotoSivashinsky(steps=8, end=2.0, spin_up=80),
    ],
)
def test_the_laws_draw_the_same_functions_on_both_grids(problem: Problem) -> None:
    fine = refined(problem)
    assert isinstance(fine, Problem)
    assert strangeness(problem, fine, problem.draw(3, IDS), fine.draw(3, IDS)) < 0.7 * STRANGE
    # Those of other ids are other ones.
    assert strangeness(problem, fine, problem.draw(3, IDS), fine.draw(3, IDS + 1)) > 2 * STRANGE


def test_inputs_that_are_drawn_cell_by_cell_are_strange() -> None:
    class Noise(Darcy):
        def draw(self, seed: int, ids: np.ndarray) -> Arrays:
            each = [np.random.default_rng([seed, one]).standard_normal(self.shape) for one in ids]
            return {"a": np.exp(each)}

    problem = Noise(shape=(16, 16))
    fine = refined(problem)
    assert isinstance(fine, Noise)
    assert strangeness(problem, fine, problem.draw(0, IDS), fine.draw(0, IDS)) > 2 * STRANGE


def test_cubic_fields_come_to_the_points_of_the_problem_exactly() -> None:
    problem = Heat(shape=(8, 12), steps=4)
    fine = refined(problem)
    assert isinstance(fine, Heat)

    def cubic(one: Heat) -> np.ndarray:
        template = one.template(1)
        t, y, x = (template[dim].values for dim in ("time", "y", "x"))
        found: np.ndarray = (t**3)[:, None, None] + (y**3)[:, None] * (x**2 - x)
        return found[None]

    np.testing.assert_allclose(on_own_points(problem, fine, {"u": cubic(fine)})["u"], cubic(problem), atol=1e-12)
