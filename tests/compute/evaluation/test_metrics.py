"""What every metric keeps."""

from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.evaluation.catalogue import METRICS, USUAL, metrics
from ritz.compute.evaluation.metric import Metric
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.heat import Heat
from ritz.compute.problems.plate import Plate

PROBLEMS = {"plane": Darcy(shape=(12, 16)), "in time": Heat(shape=(8, 8), steps=2), "mesh": Plate(cells=8)}


def test_all_shipped_metrics_are_usual() -> None:
    assert {type(metric) for metric in USUAL} == set(METRICS.kinds().values())
    assert metrics(None) == USUAL
    assert metrics([metric.model_dump() for metric in USUAL]) == USUAL
    with pytest.raises(ValueError, match="unheard"):
        metrics(["unheard"])


@pytest.mark.parametrize("place", PROBLEMS)
@pytest.mark.parametrize("metric", USUAL, ids=lambda metric: metric.kind)
def test_it_is_zero_for_the_truth_grows_with_the_error_and_goes_sample_by_sample(metric: Metric, place: str) -> None:
    template = PROBLEMS[place].template(5)
    dimensions = Dimensions.of(template)
    if reason := metric.unfit(dimensions):
        assert place == "mesh"
        assert "even spacing" in reason
        return
    rng = np.random.default_rng(0)
    for name, field in template.items():
        if field.attrs["role"] != "output":
            continue
        truth, change = rng.standard_normal((2, *field.shape))
        exact, small, large = (
            metric.measure(truth + by * change, truth, dimensions, str(name)) for by in (0, 0.1, 0.2)
        )
        for part, values in large.items():
            assert values.shape == (5,)
            assert values.dtype == np.float64
            assert np.all(exact[part] == 0)
            np.testing.assert_allclose(values, 2 * small[part], rtol=1e-9)
        one = metric.measure((truth + 0.2 * change)[2:3], truth[2:3], dimensions, str(name))
        assert {part: values[0] for part, values in one.items()} == pytest.approx(
            {part: values[2] for part, values in large.items()}, rel=1e-12
        )
