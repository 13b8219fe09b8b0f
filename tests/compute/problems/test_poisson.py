from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.poisson import Poisson
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.assembly import diffusion, wall_source
from ritz.compute.solvers.factorization.direct import Direct

WALLS = ("south", "east", "north", "west")


def centres(cells):
    return (np.arange(cells) + 0.5) / cells


def solve(inputs):
    problem = Poisson(shape=inputs["f"].shape[1:])
    return simulate(problem, inputs, Direct(), 1e-10)[0]["u"]


def of(solution, source, shape):
    """Return the inputs that belong to a solution u(y, x), and that solution at the centres."""
    y, x = (centres(cells) for cells in shape)
    grid = np.meshgrid(y, x, indexing="ij")
    at = {"south": (0, x), "north": (1, x), "west": (y, 0), "east": (y, 1)}
    inputs = {wall: solution(*map(np.asarray, place))[None] for wall, place in at.items()}
    return {"f": source(*grid)[None], **inputs}, solution(*grid)


def test_error_against_a_manufactured_solution_is_second_order():
    errors = []
    for n in (16, 32, 64):
        inputs, u = of(
            lambda y, x: np.exp(x) * np.sin(2 * y) + x * y**2 + np.cos(3 * x),
            lambda y, x: 3 * np.exp(x) * np.sin(2 * y) - 2 * x + 9 * np.cos(3 * x),
            (n, 5 * n // 4),
        )
        errors.append(np.abs(solve(inputs)[0] - u).max())
    assert errors[2] < 1e-3
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.25)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.15)


def test_drawn_samples_converge_to_second_order():
    # Cells of the coarser grids have their centres among those of the finest.
    solutions = []
    for n in (15, 45, 135):
        problem = Poisson(shape=(n, n), source=Gaussian(tau=5.0, alpha=2.0, modes=8))
        third = n // 15
        u = simulate(problem, problem.draw(0, np.arange(3)), Direct(), 1e-8)[0]["u"]
        solutions.append(u[:, third // 2 :: third, third // 2 :: third])
    errors = [np.linalg.norm(u - solutions[2]) for u in solutions[:2]]
    # Against the finest and not the truth it falls by 9 (1 − 1/81) / (1 − 1/9) a third.
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.1)


def test_a_bilinear_potential_is_exact():
    inputs, u = of(lambda y, x: 2 + 3 * x - y + 4 * x * y, lambda *_: np.zeros((8, 12)), (8, 12))
    assert solve(inputs)[0] == pytest.approx(u, abs=1e-12)


@pytest.mark.parametrize(
    ("wall", "cells"), [("south", np.s_[0]), ("north", np.s_[-1]), ("west", np.s_[:, 0]), ("east", np.s_[:, -1])]
)
def test_a_wall_is_where_its_name_says(wall, cells):
    inputs = Poisson(shape=(10, 14)).draw(0, np.arange(1))
    inputs = {name: np.zeros_like(values) for name, values in inputs.items()}
    inputs[wall][:] = 1
    u = solve(inputs)[0]
    assert u[cells].mean() > 0.7
    assert u[cells].mean() > 2 * u.mean()
    assert u.mean() == pytest.approx(0.25, abs=0.1)


def test_all_samples_have_one_matrix():
    problem = Poisson(shape=(8, 12))
    inputs = problem.draw(0, np.arange(5))
    posed = []

    def answer(systems):
        posed.append(systems)
        return Direct().solve(systems, rtol=1e-8)[0].x

    problem.simulate(inputs, answer)
    assert len(posed) == 1
    operators = posed[0].operators
    assert (operators.constant, operators.symmetric, operators.definite) == (True, True, True)
    assert operators.coefficients.strides[0] == 0


def test_residual_and_rounding_equal_those_of_the_operators_for_any_field():
    problem = Poisson(shape=(8, 12))
    inputs = problem.draw(0, np.arange(3))
    u = np.random.default_rng(0).standard_normal((3, 8, 12))
    operators = diffusion(np.ones((3, 8, 12)))
    b = inputs["f"].astype(np.float64)
    for wall, axis, upper in (("south", 0, False), ("north", 0, True), ("west", 1, False), ("east", 1, True)):
        b += wall_source(np.ones((3, 8, 12)), axis, upper, inputs[wall].astype(np.float64))
    for i in range(3):
        expected = np.linalg.norm(b[i] - operators.matvec(i, u[i])) / np.linalg.norm(b[i])
        assert problem.residual(inputs, {"u": u})[i] == pytest.approx(expected, rel=1e-12)
        bound = np.linalg.norm(abs(operators.csr(i)) @ np.abs(u[i]).ravel()) / np.linalg.norm(b[i])
        assert problem.rounding(inputs, {"u": u})[i] == pytest.approx(bound, rel=1e-12)


def test_walls_go_on_round_the_corners():
    # Half a cell before and behind a corner the values differ by what a cell makes elsewhere, on a walk round.
    for shape in ((64, 64), (48, 80)):
        values = Poisson(shape=shape).around(0, np.arange(20))
        walk = [values["south"], values["east"], values["north"][:, ::-1], values["west"][:, ::-1]]
        jumps = [np.abs(before[:, -1] - after[:, 0]) for before, after in zip(walk, walk[1:] + walk[:1], strict=True)]
        inside = max(np.abs(np.diff(wall, axis=1)).max() for wall in walk)
        assert np.max(jumps) < 1.2 * inside < 0.5


def test_walls_have_the_same_values_on_any_grid():
    problem, finer = Poisson(shape=(10, 16)), Poisson(shape=(30, 48))
    coarse, fine = (one.around(1, np.arange(3)) for one in (problem, finer))
    for wall in WALLS:
        assert fine[wall][:, 1::3] == pytest.approx(coarse[wall], rel=1e-12)


def test_inputs_have_the_scale_of_their_laws():
    problem = Poisson(shape=(32, 32), strength=7.0)
    inputs = problem.draw(0, np.arange(400))
    assert inputs["f"].std() == pytest.approx(7, rel=0.05)
    walls = np.concatenate([inputs[wall] for wall in WALLS])
    assert walls.std() == pytest.approx(1, rel=0.05)


def test_sources_and_walls_have_their_own_numbers():
    problem = Poisson(shape=(32, 32))
    inputs = problem.draw(0, np.arange(200))
    # The coefficients of the same places in the arrays that are drawn.
    inside = inputs["f"].mean(axis=1) @ np.cos(np.pi * np.outer(centres(32), np.arange(1, 6)))
    walk = [inputs["south"], inputs["east"], inputs["north"][:, ::-1], inputs["west"][:, ::-1]]
    angles = 2 * np.pi * np.outer(centres(128), np.arange(-15, -10))
    around = np.concatenate(walk, axis=1) @ (np.cos(angles) + np.sin(angles))
    for k in range(5):
        assert abs(np.corrcoef(inside[:, k], around[:, k])[0, 1]) < 0.3


def test_sources_and_walls_move_the_potential_about_as_much():
    problem = Poisson(shape=(24, 24))
    inputs = problem.draw(0, np.arange(100))
    still = {name: np.zeros_like(values) for name, values in inputs.items()}
    by_walls = solve({**inputs, "f": still["f"]}).std()
    by_sources = solve({**still, "f": inputs["f"]}).std()
    assert 0.7 < by_sources / by_walls < 1.4


def test_template_has_a_variable_a_wall():
    template = Poisson(shape=(8, 12)).template(3)
    dims = {name: variable.dims[1:] for name, variable in template.items()}
    assert dims == {
        "f": ("y", "x"), "south": ("x",), "east": ("y",), "north": ("x",), "west": ("y",), "u": ("y", "x"),
    }  # fmt: skip
    assert template.attrs["symmetries"] == "none"
    assert template["y"].values == pytest.approx(centres(8))
    assert template["x"].values == pytest.approx(centres(12))


def test_features_see_sources_and_walls():
    problem = Poisson(shape=(16, 16))
    inputs = problem.draw(0, np.arange(6))
    whole = problem.features(inputs)
    assert whole.shape == (6, 16)
    for name in inputs:
        changed = problem.features({**inputs, name: np.zeros_like(inputs[name])})
        assert np.abs(changed - whole).max() > 0.05


@pytest.mark.parametrize(("field", "value"), [("strength", 0.0), ("shape", (3, 8)), ("walls", {"alpha": 1.0})])
def test_a_bad_field_is_named(field, value):
    with pytest.raises(ValidationError, match=field):
        Poisson(**{field: value})
