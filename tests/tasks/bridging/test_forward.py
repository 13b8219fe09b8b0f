"""What the models of `ritz bridge` take and return, without a server."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ritz.compute.problems.cookies import Cookies
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.poisson import Poisson
from ritz.compute.problems.problem import Problem
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.tasks.bridging.bridge import BridgedSubject, bridged, subject
from ritz.tasks.bridging.forward import Forward, NoAnswer
from ritz.tasks.bridging.parameters import natural
from ritz.tasks.errors import InputError


def solver(problem: Problem, quantities: tuple[str, ...] = (), **options: Any) -> Forward:
    """Return the only model of a problem without a surrogate."""
    given = BridgedSubject("own", problem, 5, 1e-10, Direct(), None)
    [forward], told = bridged(given, quantities, options.get("asked"), options.get("leading"))
    assert [one.name for one in told.models] == [forward.name] == ["solver"]
    assert told.models[0].inputs == forward.input_names()
    return forward


@pytest.mark.parametrize(
    "problem", [Darcy(shape=(8, 8)), Poisson(shape=(8, 12)), Plate(cells=8), Cookies(shape=(8, 8))]
)
def test_coordinates_and_inputs_are_those_of_the_same_sample(problem: Problem) -> None:
    given = np.random.default_rng(0).random(3)
    inputs = problem.draw_at(5, np.array([7]), given[None])
    fields, _ = simulate(problem, inputs, Direct(), 1e-10)
    expected = [values[0].reshape(-1) for values in fields.values()]
    drawn, sent = solver(problem, asked="coordinates", leading=3), solver(problem, asked="inputs")
    vectors = [values[0].reshape(-1).tolist() for values in inputs.values()]
    assert drawn.input_sizes({}) == [3]
    assert sent.input_sizes({}) == [len(vector) for vector in vectors]
    assert drawn.output_sizes({}) == sent.output_sizes({}) == [len(vector) for vector in expected]
    np.testing.assert_allclose(drawn([given.tolist()], {"sample": 7}), expected, rtol=1e-12)
    np.testing.assert_allclose(sent(vectors, {}), expected, rtol=1e-12)


def test_what_is_asked_by_default_is_few_numbers() -> None:
    found = {problem.kind: natural(problem) for problem in (Darcy(), Poisson(), Plate(), Cookies())}
    assert found == {"darcy": "coordinates", "poisson": "coordinates", "plate": "inputs", "cookies": "inputs"}


def test_a_coarser_grid_is_another_level_of_the_same_sample() -> None:
    fine = solver(Darcy(shape=(32, 32)), ("mean:u", "max:u"))
    given = [np.random.default_rng(1).random(64).tolist()]
    [exact], [half], [quarter] = (fine(given, {"coarsening": factor}) for factor in (1, 2, 4))
    assert 0 < abs(half[0] - exact[0]) < 0.5 * abs(quarter[0] - exact[0]) < 0.2 * exact[0]
    fields = solver(Darcy(shape=(32, 32)))
    assert (fields.output_sizes({}), fields.output_sizes({"coarsening": 2})) == ([1024], [256])
    [[coarse]] = solver(Darcy(shape=(16, 16)), ("mean:u",))(given, {})
    assert half[0] == pytest.approx(coarse, rel=1e-12)


@pytest.mark.parametrize(
    ("vectors", "config", "said"),
    [
        ([[0.5] * 63 + [1.0]], {}, r"coordinates\[63\] is 1, expected a number above 0 and below 1"),
        ([[float("nan")] * 64], {}, r"coordinates\[0\] is nan, expected a finite number"),
        ([[[0.5, 0.5]] * 64], {}, "coordinates holds something else than numbers"),
        ([[0.5] * 64], {"coarsening": 0}, "config.coarsening is 0, expected a whole number of at least 1"),
        ([[0.5] * 64], {"coarsening": True}, "config.coarsening is True, expected a whole number"),
        ([[0.5] * 64], {"coarsening": 4}, "config.coarsening is 4: Input should be greater than or equal to 4"),
    ],
)
def test_what_is_no_sample_is_refused(vectors: Any, config: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        solver(Darcy(shape=(8, 8)))(vectors, config)


def test_inputs_whose_logarithm_a_surrogate_sees_are_positive() -> None:
    with pytest.raises(InputError, match=r"a\[3\] is 0, expected a positive number"):
        solver(Darcy(shape=(8, 8)), asked="inputs")([[1.0] * 3 + [0.0] + [1.0] * 60], {})


def test_a_sample_without_a_good_solution_has_no_number() -> None:
    forward = solver(Cookies(shape=(8, 8)), ("mean:u",))
    with pytest.raises(NoAnswer, match="model 'solver' has no good solution of this sample"):
        forward([[-1.0] * 8], {})


def test_a_recipe_is_read_with_its_changes(tmp_path: Any) -> None:
    found = subject("cookies", {"problem.shape": [20, 20], "data.rtol": 1e-6}, str(tmp_path))
    assert (found.problem, found.rtol, found.model) == (Cookies(shape=(20, 20)), 1e-6, None)
