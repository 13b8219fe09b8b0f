from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.ranges import Range


@pytest.mark.parametrize("log", [False, True])
def test_a_range_is_uniform_between_its_ends(log: bool) -> None:
    problem = KuramotoSivashinsky(points=8, viscosity=Range(low=0.5, high=8, log=log))
    drawn = problem.draw_ranges(0, np.arange(4000))["viscosity"].astype(np.float64)
    uniform = np.sort(problem.ranges["viscosity"].place(drawn))
    assert np.abs(uniform - (np.arange(4000) + 0.5) / 4000).max() < 1.63 / np.sqrt(4000)
    assert problem.template(1)["viscosity"].attrs["transform"] == ("log" if log else "identity")


def test_given_coordinates_of_a_draw_are_the_parameters_first() -> None:
    problem = KuramotoSivashinsky(points=8, viscosity=Range(low=1, high=100, log=True))
    drawn = problem.draw_at(0, np.arange(3), np.array([[0.0, 0.5], [0.5, 0.5], [1.0, 0.5]]))
    np.testing.assert_allclose(drawn["viscosity"], [1, 10, 100], rtol=1e-6)


def test_a_number_is_no_input() -> None:
    problem = KuramotoSivashinsky(points=8)
    assert "viscosity" not in problem.template(1)
    assert problem.number("viscosity", {}, 2) == 1.0
    assert problem.model_dump(mode="json")["viscosity"] == 1.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (-1, "greater than 0"),
        ({"low": -1, "high": 2}, "low is -1: Input should be greater than 0"),
        ({"low": 1, "high": 2000}, "high is 2000: Input should be less than or equal to 1000"),
        ({"low": 2, "high": 1}, "low is 2 and high is 1, expected low < high"),
        ({"low": -2, "high": 1, "log": True}, "low is -2, expected a positive number"),
        ({"low": 1}, "high: Field required .expected a number, or a range: low, high, log"),
        ("fast", "valid number"),
    ],
)
def test_what_is_no_number_within_the_limits_is_refused(given: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        KuramotoSivashinsky.model_validate({"viscosity": given})
