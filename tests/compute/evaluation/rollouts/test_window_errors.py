from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.evaluation.metric import Subject
from ritz.compute.evaluation.rollouts.window_errors import RolloutNRMSE, RolloutVRMSE, geometric_mean
from ritz.compute.fields.dimensions import Dimensions

STEPS, POINTS = 20, 8
DIMENSIONS = Dimensions(
    space=("x",),
    sizes={"x": POINTS, "time": STEPS},
    variables={"u0": ("x",), "u": ("time", "x"), "v": ("time", "x")},
    inputs=("u0",),
    times=tuple(0.5 * step for step in range(1, STEPS + 1)),
    starts={"u": "u0"},
)


def subject(dimensions: Dimensions = DIMENSIONS) -> Subject:
    """Return samples of which the error of u grows by a tenth of the truth per step, and of v by a fifth."""
    rng = np.random.default_rng(0)
    truth = {name: rng.standard_normal((3, STEPS, POINTS)) for name in ("u", "v")}
    grown = np.arange(1, STEPS + 1)[:, None] / 10
    prediction = {"u": truth["u"] * (1 + grown), "v": truth["v"] * (1 - 2 * grown)}
    return Subject({}, prediction, truth, dimensions)


def test_windows_count_their_ends_and_the_outputs_alike() -> None:
    found = RolloutNRMSE().of(subject())
    # Step k has an error of 0.15 k over both outputs; steps 13 to 30 are not all there.
    assert list(found) == ["step_1", "steps_6_to_12", "geometric_mean"]
    np.testing.assert_allclose(found["step_1"], 0.15)
    np.testing.assert_allclose(found["steps_6_to_12"], 0.15 * 9)
    np.testing.assert_allclose(found["geometric_mean"], 0.15 * np.exp(np.log(np.arange(1, STEPS + 1)).mean()))
    others = RolloutNRMSE(windows=((20, 20), (1, 20), (20, 21))).of(subject())
    assert list(others) == ["step_20", "steps_1_to_20", "geometric_mean"]
    np.testing.assert_allclose(others["steps_1_to_20"], 0.15 * 10.5)


def test_the_variance_scaled_error_of_the_mean_over_space_is_nearly_one() -> None:
    whole = subject()
    means = {name: np.broadcast_to(u.mean(axis=2, keepdims=True), u.shape) for name, u in whole.truth.items()}
    found = RolloutVRMSE(epsilon=0).of(Subject({}, means, whole.truth, DIMENSIONS))
    for values in found.values():
        np.testing.assert_allclose(values, np.sqrt(1 - 1 / POINTS))


def test_what_has_no_steps_is_unfit() -> None:
    steady = DIMENSIONS.model_copy(update={"times": ()})
    for metric in (RolloutNRMSE(), RolloutVRMSE()):
        assert metric.unfit_for(subject()) == ""
        assert metric.unfit_for(subject(steady)) == "its outputs have no times that follow a known first state"
    whole = subject()
    whole.truth["v"][1, 3] = 0
    assert RolloutNRMSE().unfit_for(whole) == "the truth of 'v' is zero everywhere at a time"
    point = DIMENSIONS.model_copy(update={"sizes": {"x": 1, "time": STEPS}})
    assert RolloutVRMSE().unfit_for(subject(point)) == "it needs two points of space or more"


@pytest.mark.parametrize("window", [(0, 3), (4, 3), (-1, -1)])
def test_a_window_that_is_none_is_refused(window: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"windows has \[{window[0]}, {window[1]}\], expected the first and the last"):
        RolloutNRMSE(windows=(window,))


def test_the_geometric_mean_of_an_exact_step_is_zero() -> None:
    np.testing.assert_allclose(geometric_mean(np.array([[1.0, 4.0], [0.0, 4.0]])), [2, 0])
