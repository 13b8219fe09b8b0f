"""What every metric keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ritz.compute.evaluation.catalogue import METRICS, USUAL, metrics
from ritz.compute.evaluation.distribution_scores import RankHistogram
from ritz.compute.evaluation.field_errors import RelativeL2Error, VarianceScaledRMSE
from ritz.compute.evaluation.metric import Found, Metric, Subject, SubjectMetric
from ritz.compute.evaluation.rollouts.drift import ConservedDrift
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.poisson import Poisson
from ritz.compute.problems.problem import Problem

PROBLEMS: dict[str, Problem] = {
    "plane": Darcy(shape=(12, 16)),
    "in time": Heat(shape=(8, 8), steps=2),
    "mesh": Plate(cells=8),
    "ring": Burgers(points=16, steps=2),
    "walls of their own": Poisson(shape=(8, 8)),
}

UNFIT = {
    ("h1", "mesh"): "it needs a grid of even spacing",
    ("spectral", "mesh"): "it needs a grid of even spacing",
    ("integral", "mesh"): "it needs a grid of even spacing",
    ("boundary", "ring"): "there are no walls: every axis closes to a ring",
    ("flux", "mesh"): "the problem 'plate' names no input that is the coefficient of a flow through walls",
    ("flux", "ring"): "the problem 'burgers' names no input that is the coefficient of a flow through walls",
    ("flux", "walls of their own"): (
        "the problem 'poisson' names no input that is the coefficient of a flow through walls"
    ),
    ("drift", "in time"): "the problem 'heat' names no quantity that it conserves",
} | {
    (kind, place): "its outputs have no times that follow a known first state"
    for kind in ("rollout_nrmse", "rollout_vrmse", "valid_time", "drift")
    for place in ("plane", "mesh", "walls of their own")
}


def subject(place: str, n: int = 5) -> Subject:
    """Return samples of a problem whose outputs, true and predicted, are noise."""
    problem = PROBLEMS[place]
    template = problem.template(n)
    rng = np.random.default_rng(0)
    shapes = {str(name): one.shape for name, one in template.items() if one.attrs["role"] == "output"}
    truth, change = ({name: rng.standard_normal(shape) for name, shape in shapes.items()} for _ in range(2))
    prediction = {name: truth[name] + change[name] for name in truth}
    draws = {name: true + rng.standard_normal((4, *true.shape)) for name, true in truth.items()}
    known = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    return Subject(
        problem.draw(0, np.arange(n)), prediction, truth, Dimensions.of(template), problem, draws, climatology=known
    )


def moved(whole: Subject, by: float) -> Subject:
    """Return samples whose predictions are that much of the way from the truth to those given."""
    prediction = {name: true + by * (whole.prediction[name] - true) for name, true in whole.truth.items()}
    assert whole.draws is not None
    draws = {name: true + by * (whole.draws[name] - true) for name, true in whole.truth.items()}
    return replace(whole, prediction=prediction, draws=draws)


def only(whole: Subject, row: int) -> Subject:
    """Return one of the samples."""
    inputs, prediction, truth = (
        {name: values[row : row + 1] for name, values in part.items()}
        for part in (whole.inputs, whole.prediction, whole.truth)
    )
    assert whole.draws is not None
    draws = {name: values[:, row : row + 1] for name, values in whole.draws.items()}
    return replace(whole, inputs=inputs, prediction=prediction, truth=truth, draws=draws)


def test_all_shipped_metrics_are_usual() -> None:
    assert {type(metric) for metric in USUAL} == set(METRICS.kinds().values())
    assert metrics(None) == USUAL
    assert metrics([metric.model_dump() for metric in USUAL]) == USUAL
    assert metrics(["relative_l2", {"kind": "vrmse", "epsilon": 0}]) == (
        RelativeL2Error(),
        VarianceScaledRMSE(epsilon=0),
    )
    with pytest.raises(ValueError, match="unheard"):
        metrics(["unheard"])


@pytest.mark.parametrize("place", PROBLEMS)
@pytest.mark.parametrize("metric", USUAL, ids=lambda metric: metric.kind)
def test_it_is_zero_for_the_truth_grows_with_the_error_and_goes_sample_by_sample(
    metric: SubjectMetric, place: str
) -> None:
    whole = subject(place)
    assert metric.unfit_for(whole) == UNFIT.get((metric.kind, place), "")
    if (metric.kind, place) in UNFIT:
        return
    exact, small, large = (metric.measured(moved(whole, by)) for by in (0, 0.1, 0.2))
    assert large
    if isinstance(metric, RankHistogram):
        # How often the truth has a rank does not tell how far it is.
        for found in (exact, large):
            np.testing.assert_allclose(sum(found.values()), 1)
        for part, values in metric.of(whole).items():
            np.testing.assert_allclose(large[part], values)
        large = {}
    if isinstance(metric, ConservedDrift):
        # The truth here is noise, which conserves nothing; what is known of it does not depend on predictions.
        assert set(large) == {"integral", "integral_of_the_truth"}
        for found in (exact, small, large):
            np.testing.assert_allclose(found["integral_of_the_truth"], exact["integral"])
        assert np.all(large["integral"] != exact["integral"])
        large = {}
    if metric.large_is_good:
        far = metric.measured(moved(whole, 5))
        for part, values in exact.items():
            assert np.all(values >= far[part])
            assert values.mean() > far[part].mean()
        large = {}
    # What is known without the model does not depend on its predictions.
    large.pop("climatology", None)
    for part, values in large.items():
        assert values.shape == (5,)
        assert values.dtype == np.float64
        assert np.all(exact[part] == 0)
        assert np.all(values > 0)
        np.testing.assert_allclose(values, 2 * small[part], rtol=1e-9)
    together, alone = metric.measured(moved(whole, 0.2)), metric.measured(only(moved(whole, 0.2), 2))
    if metric.by_sample:
        assert {part: values[0] for part, values in alone.items()} == pytest.approx(
            {part: values[2] for part, values in together.items()}, rel=1e-12
        )
    else:
        assert set(alone) == set(together)


def test_a_metric_of_one_output_is_averaged_over_the_outputs() -> None:
    class First(Metric):
        kind: str = "first"

        def measure(self, prediction: np.ndarray, truth: np.ndarray, dimensions: Dimensions, name: str) -> Found:
            del truth, dimensions
            return {name[:0]: prediction[:, 0]}

        def unfit(self, dimensions: Dimensions) -> str:
            return f"{len(dimensions.space)} axes"

    fields = {"u": np.array([[1.0, 9.0]]), "v": np.array([[4.0, 9.0]])}
    dimensions = Dimensions(space=("x",), sizes={"x": 2}, variables={"u": ("x",), "v": ("x",)}, inputs=())
    both = Subject({}, fields, fields, dimensions)
    assert First().of(both) == {"": np.array([2.5])}
    assert First().unfit_for(both) == "1 axes"
