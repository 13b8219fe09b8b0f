from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ritz.compute.evaluation.metric import Subject
from ritz.compute.evaluation.rollouts.valid_time import ValidTime, first_below
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.evolutions.lorenz96 import Lorenz96
from ritz.compute.problems.ranges import Range

TIMES = (1.0, 2.0, 4.0)


def subject(angles: np.ndarray, outputs: int = 1) -> Subject:
    """Return waves that run ahead of the true ones by angles ``(n, steps)``: the correlation is their cosine."""
    x = 2 * np.pi * (np.arange(16) + 0.5) / 16
    truth = np.broadcast_to(np.sin(x), (*angles.shape, 16))
    names = ["u", "v"][:outputs]
    dimensions = Dimensions(
        space=("x",), sizes={"x": 16, "time": 3}, variables=dict.fromkeys(names, ("time", "x")), inputs=(), times=TIMES
    )
    # A second output is right at all times.
    prediction = {"u": 7 + 3 * np.sin(x + angles[:, :, None]), "v": truth}
    return Subject({}, {name: prediction[name] for name in names}, dict.fromkeys(names, truth), dimensions)


def test_the_time_is_where_the_line_between_the_times_meets_the_bound() -> None:
    angles = np.arccos([[0.9, 0.6, 0.9], [0.7, 0.9, 0.9], [0.9, 0.9, 0.81], [0.8, 0.8, 0.2]])
    found = ValidTime(exponent=0.5).of(subject(angles))
    expected = [1 + 1 / 3, 2 / 3, 4.0, 2.0]
    np.testing.assert_allclose(found[""], expected, rtol=1e-9)
    np.testing.assert_array_equal(found["to_the_end"], [0, 0, 1, 0])
    np.testing.assert_allclose(found["lyapunov_times"], 0.5 * np.array(expected), rtol=1e-9)
    assert set(ValidTime().of(subject(angles))) == {"", "to_the_end"}
    np.testing.assert_allclose(ValidTime(bound=0.65).of(subject(angles))[""][1], 4.0)


def test_a_problem_that_knows_its_exponents_counts_each_sample_by_its_own() -> None:
    problem = Lorenz96(forcing=Range(low=6.0, high=10.0))
    angles = np.arccos([[0.9, 0.6, 0.9], [0.9, 0.6, 0.9]])
    forcing = {"u0": np.zeros((2, 40), np.float32), "forcing": np.array([6.0, 8.0], np.float32)}
    whole = replace(subject(angles), inputs=forcing, problem=problem)
    exponents = problem.lyapunov_exponents(forcing)
    usual = problem.model_copy(update={"forcing": 8.0}).lyapunov_exponents(forcing)
    assert exponents is not None
    assert usual is not None
    assert exponents[0] < exponents[1] == usual[0]
    np.testing.assert_allclose(ValidTime().of(whole)["lyapunov_times"], exponents * 4 / 3, rtol=1e-9)
    np.testing.assert_allclose(ValidTime(exponent=2.0).of(whole)["lyapunov_times"], 8 / 3, rtol=1e-9)
    unknown = replace(whole, problem=Lorenz96(forcing=5.0))
    assert set(ValidTime().of(unknown)) == {"", "to_the_end"}


def test_the_correlation_is_the_mean_over_the_outputs() -> None:
    # Of two outputs, one of them right, 0.8 is the mean where the other has 0.6.
    found = ValidTime().of(subject(np.arccos([[0.9, 0.7, 0.5]]), outputs=2))
    np.testing.assert_allclose(found[""], 2 + 2 * 0.5)


def test_without_times_there_is_none() -> None:
    whole = subject(np.zeros((1, 3)))
    steady = Subject({}, whole.prediction, whole.truth, whole.dimensions.model_copy(update={"times": ()}))
    assert ValidTime().unfit_for(whole) == ""
    assert "no times" in ValidTime().unfit_for(steady)


@pytest.mark.parametrize(("field", "value"), [("bound", 1.0), ("bound", 0.0), ("exponent", -0.1)])
def test_a_bound_or_an_exponent_that_is_none_is_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        ValidTime.model_validate({field: value})


def test_a_correlation_that_falls_at_once_is_interpolated_from_one_at_time_zero() -> None:
    time, fell = first_below(np.array([[-1.0, 1.0, 1.0], [0.8, 0.8, 0.8]]), TIMES, 0.8)
    np.testing.assert_allclose(time, [0.1, 4.0])
    np.testing.assert_array_equal(fell, [True, False])
