"""Error bars by the equations: one step of the problem's own iteration, begun at the prediction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pytest
from scipy.stats import spearmanr

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.problem import Arrays, Problem, Solve
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.uncertainty.catalogue import calibrated
from ritz.compute.uncertainty.conformal.bands import Bands
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.spread.choice import AutoSpread
from ritz.compute.uncertainty.spread.defect import Defect, FittedDefect
from ritz.compute.uncertainty.spread.learnt import FittedLearnt, Learnt
from ritz.compute.uncertainty.spread.spread import Unsuitable
from ritz.compute.uncertainty.zones import rings
from tests.compute.problems.families import CORRECTABLE, SMALL, rough

FAMILIES = [name for name in CORRECTABLE if not name.startswith("acoustic")]
"""Of acoustics a step is by a recycled solver, and as dear as a solve."""


def predicted(problem: Problem, n: int, first: int, size: float = 0.1) -> Predicted:
    """Solved samples with predictions whose errors differ in size from sample to sample, in float32 as stored."""
    inputs = problem.draw(0, np.arange(first, first + n))
    truth, ledger = simulate(problem, inputs, Direct(), 1e-10)
    assert set(ledger["status"]) == {"ok"}
    rng = np.random.default_rng(first)
    prediction = {}
    for name, values in truth.items():
        noise = rough(problem, n)[name]
        scales = size * np.exp(0.7 * rng.standard_normal((n, *(1,) * (values.ndim - 1))))
        prediction[name] = (values + scales * np.std(values) * noise / np.std(noise)).astype(np.float32)
    return Predicted(inputs, prediction, {name: values.astype(np.float32) for name, values in truth.items()})


def about(problem: Problem) -> About:
    return About(dimensions=Dimensions.of(problem.template(1)), problem=problem)


def nobody(predicted: Predicted) -> Predicted:
    parts = [
        {name: values[:0] for name, values in part.items()}
        for part in (predicted.inputs, predicted.prediction, predicted.truth)
    ]
    return Predicted(*parts)


def relative(fields: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the relative L2 errors of all outputs together, ``(n,)``."""
    off, whole = (
        np.concatenate([one[name].astype(float).reshape(len(one[name]), -1) for name in truth], axis=1)
        for one in ({name: fields[name].astype(float) - truth[name] for name in truth}, truth)
    )
    found: np.ndarray = np.linalg.norm(off, axis=1) / np.linalg.norm(whole, axis=1)
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_the_error_of_a_prediction_is_known_corrected_and_bounded(name: str) -> None:
    problem = SMALL[name]
    # One step of Newton's method leaves the square of an error, and that of a cubic equation is large.
    size = {"allen_cahn": 0.03, "variational": 0.01}.get(name.partition("-")[0], 0.1)
    validate, calibrate, test = (predicted(problem, n, first, size) for n, first in ((10, 0), (24, 100), (24, 200)))
    bands = Conformal(levels=(0.9,), spread=Defect()).calibrate(validate, calibrate, about(problem))
    found = bands.assess(test.inputs, test.prediction)
    assert found is not None
    assert found.corrected is not None
    error = relative(test.prediction, test.truth)
    assert spearmanr(found.estimate, error).statistic > 0.99
    np.testing.assert_allclose(found.estimate, error, rtol=0.1)
    assert relative(found.corrected, test.truth).max() < 0.05 * error.max()
    assert not found.doubtful.any()
    coverage = bands.measure(test)[0]
    assert coverage.measured == pytest.approx(0.9, abs=0.08)
    learnt = Conformal(levels=(0.9,), spread=Learnt()).calibrate(validate, calibrate, about(problem))
    assert coverage.width < 0.05 * learnt.measure(test)[0].width
    again = calibrated(bands.to_bytes())
    assert again.to_bytes() == bands.to_bytes()
    lower, upper = again.interval(test.inputs, test.prediction, 0.9)
    output = next(iter(lower))
    assert np.all(lower[output] < upper[output])


def test_each_ring_of_cells_from_the_walls_has_factors_of_its_own_but_in_bands_from_before() -> None:
    problem = SMALL["darcy"]
    validate, calibrate = predicted(problem, 10, 0), predicted(problem, 24, 100)
    found = {}
    for zones in (True, False):
        bands = Conformal(levels=(0.9,), spread=Defect(zones=zones)).calibrate(validate, calibrate, about(problem))
        [found[zones]] = bands.outputs["u"].points
    ring = rings(calibrate.truth["u"].shape[1:], (0, 1))
    assert len(found[True]) == len(np.unique(ring)) > len(found[False]) == 1
    assert min(found[True]) < found[False][0] < max(found[True])
    fitted = Defect().fit(validate, about(problem))
    np.testing.assert_array_equal(fitted.zones("u", ring.shape), ring)
    before = fitted.model_dump(exclude={"by_zone", "dimensions", "seconds"})
    assert FittedDefect.model_validate(before).zones("u", ring.shape) is None


def test_what_the_steps_took_is_said() -> None:
    problem = SMALL["darcy"]
    fitted = Defect().fit(predicted(problem, 10, 0), about(problem))
    assert len(fitted.seconds) == 2
    assert min(fitted.seconds) > 0
    said = fitted.model_copy(update={"seconds": (0.002, 0.001)}).made()
    assert said.endswith(" Per sample of a batch the first step took 2 ms, both took 3 ms.")
    assert "step took" not in fitted.model_copy(update={"seconds": ()}).made()


def test_with_one_round_bands_lie_around_the_prediction() -> None:
    problem = SMALL["darcy"]
    validate, calibrate, test = (predicted(problem, n, first) for n, first in ((10, 0), (30, 100), (30, 200)))
    bands = Conformal(levels=(0.9,), spread=Defect(rounds=1)).calibrate(validate, calibrate, about(problem))
    lower, upper = bands.interval(test.inputs, test.prediction, 0.9)
    np.testing.assert_allclose((lower["u"] + upper["u"]) / 2, test.prediction["u"], rtol=1e-5, atol=1e-6)
    assert bands.measure(test)[0].measured == pytest.approx(0.9, abs=0.06)
    found = bands.assess(test.inputs, test.prediction)
    assert found is not None
    assert found.corrected is None


class Half(Darcy):
    """A correction by half of what is wrong: a second step finds it, but too much is left."""

    kind: Literal["half"] = "half"  # type: ignore[assignment]  # a problem of its own

    def corrected(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        better = super().corrected(inputs, fields, solve)
        return {name: 0.5 * (values + fields[name]) for name, values in better.items()}


class Left(Darcy):
    """A projection: it corrects the left half of the box and finds nothing to do a second time."""

    kind: Literal["left"] = "left"  # type: ignore[assignment]  # a problem of its own

    def corrected(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        better = super().corrected(inputs, fields, solve)["u"]
        better[..., 8:] = fields["u"][..., 8:]
        return {"u": better}


@pytest.mark.parametrize("kind", [Half, Left])
def test_steps_that_leave_too_much_are_refused_with_the_share(kind: type[Darcy]) -> None:
    problem = kind(shape=(12, 16))
    validate = predicted(problem, 8, 0)
    with pytest.raises(Unsuitable, match=r"step 1 of problem '\w+' by \w+ leaves [4-9]\d.* % of the median error"):
        Defect().fit(validate, about(problem))
    chosen = AutoSpread().fit(validate, about(problem))
    assert isinstance(chosen, FittedLearnt)


def test_auto_says_why_it_learns(caplog: pytest.LogCaptureFixture) -> None:
    validate = predicted(SMALL["darcy"], 8, 0)
    with caplog.at_level("INFO", "ritz"):
        assert isinstance(AutoSpread().fit(validate, about(SMALL["darcy"])), FittedDefect)
        assert caplog.text == ""
        assert isinstance(AutoSpread().fit(validate, About()), FittedLearnt)
    assert "the width of the bands is learnt: what the truth solves is not known" in caplog.text
    made = AutoSpread().fit(validate, About()).made()
    assert made.endswith("Not by the equations: what the truth solves is not known.")
    with pytest.raises(Unsuitable, match="another grid than that of problem 'darcy'"):
        Defect().fit(validate, About(problem=Darcy(shape=(8, 8))))
    with pytest.raises(ValueError, match="there is no validation sample"):
        Defect().fit(nobody(validate), about(SMALL["darcy"]))


def test_auto_takes_no_steps_that_are_as_dear_as_solves(caplog: pytest.LogCaptureFixture) -> None:
    problem = SMALL["acoustic"]
    validate = predicted(problem, 8, 0)
    with caplog.at_level("INFO", "ritz"):
        assert isinstance(AutoSpread().fit(validate, about(problem)), FittedLearnt)
    assert "a step by recycled takes more than half of a solve" in caplog.text
    assert isinstance(Defect().fit(validate, about(problem)), FittedDefect)


def kept(problem: Problem) -> Bands:
    validate, calibrate = predicted(problem, 8, 0), predicted(problem, 20, 100)
    return Conformal(levels=(0.9,), spread=Defect()).calibrate(validate, calibrate, about(problem))


def test_where_nothing_was_calibrated_there_are_no_numbers() -> None:
    problem = SMALL["darcy"]
    bands = kept(problem)
    finer = predicted(Darcy(shape=(24, 16)), 3, 300)
    lower, upper = bands.interval(finer.inputs, finer.prediction, 0.9)
    assert np.isnan(lower["u"]).all()
    assert np.isnan(upper["u"]).all()
    assert bands.measure(finer)[0].measured == 0
    document = bands.to_bytes().replace(b'"kind":"darcy"', b'"kind":"of_nobody"')
    test = predicted(problem, 3, 200)
    assert np.isnan(calibrated(document).interval(test.inputs, test.prediction, 0.9)[0]["u"]).all()
    found = calibrated(document).assess(test.inputs, test.prediction)
    assert found is not None
    assert np.isnan(found.estimate).all()
    assert found.doubtful.all()


def test_a_sample_without_an_answer_has_an_infinite_bar() -> None:
    problem = SMALL["darcy"]
    bands, test = kept(problem), predicted(problem, 3, 200)
    inputs = {"a": test.inputs["a"].copy()}
    inputs["a"][1] = np.nan
    lower, upper = bands.interval(inputs, test.prediction, 0.9)
    assert np.isneginf(lower["u"][1]).all()
    assert np.isposinf(upper["u"][1]).all()
    assert np.isfinite(lower["u"][[0, 2]]).all()
    found = bands.assess(inputs, test.prediction)
    assert found is not None
    assert found.doubtful.tolist() == [False, True, False]
    [coverage] = bands.measure(Predicted(inputs, test.prediction, test.truth))
    parts = (test.inputs, test.prediction, test.truth)
    others = bands.measure(Predicted(*({k: v[[0, 2]] for k, v in part.items()} for part in parts)))[0]
    assert coverage.width == pytest.approx(others.width)
    assert coverage.shares[1] == 1
    json.dumps(coverage.document(), allow_nan=False)


def test_words_say_what_it_is() -> None:
    made = kept(SMALL["darcy"]).made()
    assert "not to that of the PDE" in made
    exact = kept(SMALL["poisson"])
    assert isinstance(exact.spread, FittedDefect)
    assert exact.spread.exact
    assert "exact but for rounding, and as dear as a solve" in exact.made()
