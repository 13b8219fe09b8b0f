"""Bands by the members of an ensemble."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.compute.surrogates.rollout.refiner import Refiner
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.spread.floor import FLOORS, floored, narrowest
from ritz.compute.uncertainty.spread.members import Members
from ritz.compute.uncertainty.spread.spread import Unsuitable
from ritz.tasks.pipeline import Pipeline
from tests.compute.problems.families import SMALL
from tests.compute.surrogates.test_stepping import INNER, samples
from tests.compute.surrogates.test_stepping import model as stepping
from tests.compute.uncertainty.models import alone, predicted, together

PROBLEM = SMALL["darcy"]


def test_the_width_is_the_deviation_over_the_members_and_a_share_of_the_samples_own() -> None:
    model = together(PROBLEM)
    validate = predicted(model, PROBLEM, 4, 0)
    fitted = Members(floor=0.2).fit(validate, About(model=model))
    shape = fitted.shape(validate.inputs, validate.prediction)
    deviation = model.members(validate.inputs)["u"].astype(np.float64).std(axis=0, ddof=1)
    level = np.sqrt(np.mean(deviation**2, axis=(1, 2), keepdims=True))
    np.testing.assert_allclose(shape.width["u"], deviation + 0.2 * level, rtol=1e-6)
    np.testing.assert_array_equal(shape.centre["u"], validate.prediction["u"])
    assert "deviation over 3 networks" in fitted.made()


def test_the_width_around_a_surrogate_that_draws_is_the_deviation_over_its_draws() -> None:
    model, fields = stepping(Refiner(inner=INNER, smallest=0.1)), samples()
    prediction = model.predict(fields)
    inputs = {name: fields[name] for name in ("a", "u0", "v0")}
    validate = Predicted(inputs, prediction, {name: fields[name] for name in prediction})
    fitted = Members(floor=0.0).fit(validate, About(model=model))
    width = fitted.shape(inputs, prediction).width["v"]
    for sample in range(len(width)):
        # Whatever other samples there are.
        alone = {name: values[sample : sample + 1] for name, values in inputs.items()}
        drawn = model.sample(alone, Refiner.draws, 0)["v"].astype(np.float64)
        np.testing.assert_allclose(width[[sample]], drawn.std(axis=0, ddof=1), rtol=1e-6)
        its = {name: values[sample : sample + 1] for name, values in prediction.items()}
        np.testing.assert_array_equal(fitted.shape(alone, its).width["v"], width[[sample]])
    assert len({row.tobytes() for row in width}) == len(width)
    nobody = ({name: values[:0] for name, values in one.items()} for one in (inputs, prediction))
    assert fitted.shape(*nobody).width["v"].shape == (0, *width.shape[1:])
    assert fitted.made() == "The width of a band is the standard deviation over 16 draws of the surrogate."
    assert Members().unfit(model.surrogate) == ""


def test_the_floor_is_the_one_with_the_narrowest_bands() -> None:
    rng = np.random.default_rng(0)
    size = np.exp(rng.standard_normal((50, 8, 8)))
    exact, useless = 2 * size, np.abs(rng.standard_normal(size.shape))
    assert narrowest({"u": size}, {"u": exact}) == FLOORS[0]
    assert narrowest({"u": size}, {"u": useless}) == FLOORS[-1]
    assert (floored({"u": np.zeros((2, 3))}, 0.1)["u"] > 0).all()


def test_a_wrong_level_of_the_members_is_calibrated_away() -> None:
    """A spread that is wrong by a factor of 3, then conformalised: 90 ± 1.5 % of the points."""
    rng = np.random.default_rng(1)
    model: Any = _Told(rng.standard_normal(4))
    validate, calibrate, test = (model.samples(rng, n) for n in (20, 400, 400))
    bands = Conformal(levels=(0.9,), spread=Members(floor=0.01)).calibrate(validate, calibrate, About(model=model))
    shape = bands.spread.shape(test.inputs, test.prediction)
    raw = float(np.mean(test.error("u") <= 1.645 * shape.width["u"]))
    assert raw < 0.6
    assert bands.measure(test)[0].measured == pytest.approx(0.9, abs=0.015)


class _Told:
    """Four members around a mean whose error is three times what their deviation says."""

    surrogate = Ensemble()

    def __init__(self, offsets: np.ndarray) -> None:
        self.offsets = (offsets - offsets.mean()) / offsets.std(ddof=1)

    def members(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"u": self.offsets[:, None, None] * inputs["size"]}

    def samples(self, rng: np.random.Generator, n: int) -> Predicted:
        size = np.exp(0.5 * rng.standard_normal((n, 32)))
        zero = np.zeros_like(size)
        return Predicted({"size": size}, {"u": zero}, {"u": 3 * size * rng.standard_normal(size.shape)})


def test_without_members_it_is_refused() -> None:
    model = alone(PROBLEM)
    validate = predicted(model, PROBLEM, 2, 0)
    with pytest.raises(Unsuitable, match="the surrogate is 'fno', expected 'ensemble'"):
        Members().fit(validate, About(model=model))
    with pytest.raises(Unsuitable, match="not at hand"):
        Members().fit(validate, About())
    nobody = validate.taken(slice(0, 0))
    with pytest.raises(ValueError, match="there is no validation sample"):
        Members().fit(nobody, About(model=together(PROBLEM)))


@pytest.mark.parametrize(
    ("spread", "surrogate", "said"),
    [
        ("members", FNO(), "uncertainty cannot be found so: the surrogate is 'fno', expected 'ensemble'"),
        ("laplace", Ensemble(), "uncertainty cannot be found so: the surrogate is 'ensemble', expected a network"),
    ],
)
def test_a_recipe_with_a_spread_for_another_surrogate_is_refused_before_any_work(
    spread: str, surrogate: object, said: str
) -> None:
    given = {"name": "x", "surrogate": surrogate, "uncertainty": {"kind": "conformal", "spread": spread}}
    with pytest.raises(ValidationError, match=said):
        Pipeline.model_validate(given)
