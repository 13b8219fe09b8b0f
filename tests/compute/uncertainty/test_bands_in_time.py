"""Bands with a factor for each stored time, and those that hold a window of times together."""

from __future__ import annotations

import math
import pickle
import re

import numpy as np
import pytest
import scipy
from pydantic import ValidationError

from ritz.compute.evaluation.measured import Measured
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.surrogates.rollout.refiner import Refiner
from ritz.compute.uncertainty.catalogue import calibrated, promise, uncertainty
from ritz.compute.uncertainty.conformal.bands import Bands
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.conformal.scores import Scores
from ritz.compute.uncertainty.coverage import Parts
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.shares import clustered
from ritz.compute.uncertainty.spread.constant import Constant
from ritz.compute.uncertainty.spread.in_time import FittedInTime
from ritz.compute.uncertainty.spread.learnt import Learnt
from tests.compute.problems.families import SMALL
from tests.compute.surrogates.test_stepping import INNER, samples
from tests.compute.surrogates.test_stepping import model as stepping
from tests.compute.uncertainty.models import predicted as of_model
from tests.compute.uncertainty.models import solved, together

STEPS, POINTS, LEVEL = 20, 6, 0.9

TIMES = tuple(0.1 * (1 + np.arange(STEPS)))

DIMENSIONS = Dimensions(
    space=("x",),
    sizes={"x": POINTS, "time": STEPS},
    variables={"u0": ("x",), "u": ("time", "x")},
    inputs=("u0",),
    times=TIMES,
    starts={"u": "u0"},
)

ABOUT = About({}, DIMENSIONS)


def trajectories(n: int, seed: int, points: int = POINTS) -> Predicted:
    """Return trajectories whose errors grow by a factor of forty, alike along each and unlike between them."""
    rng = np.random.default_rng(seed)
    size = np.exp(0.5 * rng.standard_normal((n, 1, 1)) + np.linspace(0, np.log(40), STEPS)[:, None])
    walk = np.cumsum(rng.standard_normal((n, STEPS, points)), axis=1) / np.sqrt(1 + np.arange(STEPS))[:, None]
    zero = np.zeros((n, STEPS, points))
    return Predicted({"u0": np.ones((n, points))}, {"u": zero}, {"u": size * walk})


def in_time(window: tuple[float, float] | None = None, level: float = LEVEL) -> Conformal:
    return Conformal(levels=(level,), spread=Constant(), per="time", window=window)


def test_each_time_and_the_window_are_covered_as_promised() -> None:
    """Over many calibrations on parts of a pool: by theorem, within three deviations of chance."""
    n, repetitions = 40, 120
    pool, validate = trajectories(2000, 0), trajectories(30, 1)
    rng = np.random.default_rng(2)
    for window, held in ((None, slice(0, STEPS)), ((0.5, 1.2), slice(4, 12))):
        scoring = in_time(window).scoring(validate, ABOUT)
        usual = Conformal(levels=(LEVEL,), spread=Constant()).scoring(validate, ABOUT)
        kept, of_usual = scoring.scores(pool), usual.scores(pool)
        at_times, whole, default = np.empty((3, repetitions, STEPS))
        for k in range(repetitions):
            some = rng.permutation(len(pool))
            bands, one = (
                known.calibrated(Measured({name: values[some[:n]] for name, values in rows.rows.items()}))
                for known, rows in ((scoring, kept), (usual, of_usual))
            )
            fresh = pool.taken(some[n : n + 200])
            [(lower, upper)] = bands.intervals(fresh.inputs, fresh.prediction, (LEVEL,))
            inside = (lower["u"] <= fresh.truth["u"]) & (fresh.truth["u"] <= upper["u"])
            at_times[k] = inside.mean(axis=(0, 2))
            lower, upper = bands.interval(fresh.inputs, fresh.prediction, LEVEL, "fields")
            inside = (lower["u"] <= fresh.truth["u"]) & (fresh.truth["u"] <= upper["u"])
            whole[k] = inside[:, held].all(axis=(1, 2)).mean()
            half = one.interval(fresh.inputs, fresh.prediction, LEVEL)[1]["u"]
            default[k] = (np.abs(fresh.truth["u"]) <= half).mean(axis=(0, 2))
        for found in (at_times, whole):
            chance = 3 * found.std(axis=0) / math.sqrt(repetitions)
            assert np.all(found.mean(axis=0) >= LEVEL - chance)
            assert np.all(found.mean(axis=0) <= LEVEL + 1 / (n + 1) + chance)
        # One factor for all times gives up the last ones.
        assert default.mean(axis=0)[0] > 0.999
        assert default.mean(axis=0)[-1] < 0.8


def test_with_one_point_a_factor_is_the_quantile_of_the_scores_at_its_time() -> None:
    n = 19
    dimensions = DIMENSIONS.model_copy(update={"sizes": {"x": 1, "time": STEPS}})
    validate, calibrate = trajectories(10, 0, 1), trajectories(n, 1, 1)
    bands = in_time((0.5, 1.2)).calibrate(validate, calibrate, About({}, dimensions))
    [(_, upper)] = bands.intervals(calibrate.inputs, calibrate.prediction, (LEVEL,))
    errors = calibrate.error("u")[..., 0]
    # ⌈20 · 0.9⌉ = 18.
    np.testing.assert_allclose(upper["u"][0, :, 0], np.sort(errors, axis=0)[17], rtol=1e-12)
    _, upper = bands.interval(calibrate.inputs, calibrate.prediction, LEVEL, "fields")
    scale = np.quantile(validate.error("u")[..., 0], 0.95, axis=0)
    largest = np.sort((errors / scale)[:, 4:12].max(axis=1))[17]
    np.testing.assert_allclose(upper["u"][0, 4:12, 0], largest * scale[4:12], rtol=1e-12)


def test_bands_around_a_window_have_no_ends_outside_and_are_kept() -> None:
    validate, calibrate, test = (trajectories(n, seed) for seed, n in enumerate((20, 60, 50)))
    bands = in_time((0.5, 1.2)).calibrate(validate, calibrate, ABOUT)
    again = calibrated(bands.to_bytes())
    assert again == bands
    assert isinstance(again, Bands)
    lower, upper = again.interval(test.inputs, test.prediction, LEVEL, "fields")
    for ends in (lower["u"], upper["u"]):
        assert np.isfinite(ends[:, 4:12]).all()
        assert np.isnan(np.delete(ends, np.s_[4:12], axis=1)).all()
    [coverage] = again.measure(test, DIMENSIONS)
    inside = (lower["u"] <= test.truth["u"]) & (test.truth["u"] <= upper["u"])
    assert coverage.fields is not None
    assert coverage.fields.inside == inside[:, 4:12].all(axis=(1, 2)).sum()
    assert coverage.fields.width == pytest.approx((upper["u"] - lower["u"])[:, 4:12].mean())
    assert again.meaning("points") == "expected share of the points of a sample inside at each stored time"
    assert again.meaning("fields").endswith("are inside at the stored times from 0.5 to 1.2 together (8 of 20)")
    assert again.made().endswith("hold them at the stored times from 0.5 to 1.2 together (8 of 20).")
    # Another grid has the same times.
    fine = trajectories(3, 5, 9)
    assert again.interval(fine.inputs, fine.prediction, LEVEL)[1]["u"].shape == (3, STEPS, 9)


def test_scales_of_the_times_make_the_whole_window_no_wider_than_its_last_times() -> None:
    validate, calibrate, test = (trajectories(n, seed) for seed, n in enumerate((40, 400, 100)))
    widths = {}
    for per in ("sample", "time"):
        method = uncertainty({"kind": "conformal", "levels": [LEVEL], "spread": {"kind": "constant"}, "per": per})
        [coverage] = method.calibrate(validate, calibrate, ABOUT).measure(test, DIMENSIONS)
        assert coverage.fields is not None
        widths[per] = coverage.fields.width
    assert widths["time"] < 0.6 * widths["sample"]


@pytest.mark.parametrize("shape", [(STEPS, POINTS), (POINTS, STEPS)], ids=["time first", "time last"])
def test_outputs_that_do_not_lie_along_time_keep_one_factor(shape: tuple[int, int]) -> None:
    dims = ("time", "x") if shape == (STEPS, POINTS) else ("x", "time")
    dimensions = Dimensions(
        space=("x",),
        sizes={"x": POINTS, "time": STEPS},
        variables={"u0": ("x",), "u": dims, "mean": ("x",)},
        inputs=("u0",),
    )

    def both(n: int, seed: int) -> Predicted:
        one = trajectories(n, seed)
        u = {"u": np.swapaxes(one.truth["u"], 1, 2) if dims[0] == "x" else one.truth["u"]}
        truth = u | {"mean": one.truth["u"].mean(axis=1)}
        return Predicted(one.inputs, {name: np.zeros_like(values) for name, values in truth.items()}, truth)

    bands = in_time().calibrate(both(20, 0), both(200, 1), About({}, dimensions))
    assert {name: len(factors.points[0]) for name, factors in bands.outputs.items()} == {"u": STEPS, "mean": 1}
    test = both(300, 2)
    [coverage] = bands.measure(test, dimensions)
    assert coverage.parts.steps is not None
    assert coverage.parts.steps.shape == (300, STEPS)
    np.testing.assert_allclose(coverage.parts.steps.mean(axis=0), LEVEL, atol=0.05)
    lower, upper = bands.interval(test.inputs, test.prediction, LEVEL, "fields")
    inside = [(lower[k] <= test.truth[k]) & (test.truth[k] <= upper[k]) for k in ("u", "mean")]
    whole = np.logical_and.reduce([one.reshape(300, -1).all(axis=1) for one in inside])
    assert coverage.fields is not None
    assert coverage.fields.inside == whole.sum()


def test_the_spread_of_an_ensemble_is_calibrated_at_each_time() -> None:
    problem = SMALL["heat"]
    model = together(problem)
    dimensions = Dimensions.of(problem.template(1))
    known = About({}, dimensions, problem, model, [solved(problem, 20, 300)])
    method = Conformal.model_validate({"levels": [LEVEL], "spread": {"kind": "members"}, "per": "time"})
    bands = method.calibrate(of_model(model, problem, 10, 0), of_model(model, problem, 40, 100), known)
    test = of_model(model, problem, 40, 200)
    again = calibrated(bands.to_bytes())
    for without in (again, pickle.loads(pickle.dumps(bands))):
        with pytest.raises(ValueError, match="read them together with their model"):
            without.measure(test, dimensions)
    [coverage] = again.beside(model).measure(test, dimensions)
    assert coverage.parts.steps is not None
    np.testing.assert_allclose(coverage.parts.steps.mean(axis=0), LEVEL, atol=0.1)


def test_draws_of_a_refiner_are_calibrated_at_each_time() -> None:
    model, fields = stepping(Refiner(inner=INNER, smallest=0.1)), samples(40)
    prediction = model.predict(fields)
    inputs = {name: fields[name] for name in ("a", "u0", "v0")}
    known = About({}, model.normalisation.dimensions, model=model)
    all_of_them = Predicted(inputs, prediction, {name: fields[name] for name in prediction})
    method = Conformal.model_validate({"levels": [0.5], "spread": {"kind": "members"}, "per": "time"})
    validate, rest = all_of_them.taken(slice(0, 8)), all_of_them.taken(slice(8, None))
    bands = method.calibrate(validate, rest, known)
    assert {name: len(factors.points[0]) for name, factors in bands.outputs.items()} == {"u": 4, "v": 4}
    [coverage] = bands.measure(rest, known.dimensions)
    assert coverage.parts.steps is not None
    # Of the calibration samples themselves (33 · 0.5 − 1)/32 of the points are outside, but for one point.
    outside = 1 - coverage.parts.steps.mean(axis=0)
    np.testing.assert_allclose(outside, (33 * 0.5 - 1) / 32, atol=0.5 / 32)
    assert bands.made().startswith("The width of a band is the standard deviation over 16 draws of the surrogate. Each")


def test_times_without_errors_or_measure_have_the_scale_one() -> None:
    one = trajectories(10, 0)
    truth = one.truth["u"].copy()
    truth[:, 3] = 0
    fitted = FittedInTime.fit(
        Constant().fit(one, ABOUT), Predicted(one.inputs, one.prediction, {"u": truth}), DIMENSIONS, None
    )
    scales = np.array(fitted.scales["u"])
    assert scales[3] == 1
    assert np.delete(scales, 3).mean() == pytest.approx(1)


def test_intervals_of_all_times_hold_together() -> None:
    shares = np.random.default_rng(0).uniform(0.6, 1, (200, STEPS))
    document = Parts(steps=shares).document(shares.mean(axis=1))
    for k, ((share, low, high), (least, most)) in enumerate(
        zip(document["by_step"], document["by_step_together"], strict=True)
    ):
        assert least < low < share < high < most
        one, all_of_them = scipy.stats.t.ppf((1 - 0.025, 1 - 0.025 / STEPS), 199)
        assert (most - share) / (high - share) == pytest.approx(all_of_them / one)
        assert share == shares[:, k].mean()
    assert clustered(np.ones(30), together=20).low == pytest.approx((0.05 / 20 / 2) ** (1 / 30))


def test_many_times_keep_fewer_scores_and_leave_few_more_points_inside() -> None:
    n, points, steps = 60, 700, 40
    truth = np.random.default_rng(0).exponential(size=(n, points, steps))
    zero, inputs = np.zeros_like(truth), {"u0": np.ones((n, points))}
    dimensions = Dimensions(
        space=("x",),
        sizes={"x": points, "time": steps},
        variables={"u0": ("x",), "u": ("x", "time")},
        inputs=("u0",),
    )
    samples = Predicted(inputs, {"u": zero}, {"u": truth})
    scoring = in_time().scoring(samples.taken(slice(0, 5)), About({}, dimensions))
    kept = scoring.scores(samples)
    assert kept.rows["u|zone 39|values"].shape == (n, 256)
    assert Scores.of_measured(kept, "u|zone 39").counts.sum() == points
    _, upper = scoring.calibrated(kept).interval(inputs, {"u": zero}, LEVEL)
    below = (truth <= upper["u"]).mean(axis=(0, 1))
    # The risk that n samples are allowed: 1 − (n + 1)/n · 0.1 + 1/n of the points are inside.
    exact = 1 - (0.1 * (n + 1) - 1) / n
    assert np.all((below >= exact - 1e-9) & (below <= exact + 1 / 256))


@pytest.mark.parametrize(
    ("window", "changes", "said"),
    [
        (None, {"variables": {"u0": ("x",), "u": ("x",)}}, "per is 'time', expected 'sample': no output lies along"),
        ((0.5, 3.0), {}, "window is [0.5, 3], expected times within the stored ones, 0.1 to 2"),
        ((0.0, 1.0), {}, "window is [0, 1], expected times within the stored ones, 0.1 to 2"),
        ((0.52, 0.58), {}, "expected a stored time in it: the nearest are 0.5 and 0.6"),
        ((0.5, 1.0), {"times": ()}, "expected none: the times of the outputs are not known"),
    ],
    ids=["steady", "beyond", "before", "between", "unknown"],
)
def test_what_has_no_such_times_is_refused(
    window: tuple[float, float] | None, changes: dict[str, object], said: str
) -> None:
    method, dimensions = in_time(window), DIMENSIONS.model_copy(update=changes)
    with pytest.raises(ValueError, match=re.escape(said)):
        method.check(dimensions)
    Conformal().check(dimensions)


def test_fields_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValidationError, match=re.escape("window is [0.5, 1] with per 'sample', expected per 'time'")):
        Conformal(window=(0.5, 1.0))
    with pytest.raises(ValidationError, match=re.escape("window is [1, 0.5], expected the first time and a later one")):
        Conformal(per="time", window=(1.0, 0.5))
    with pytest.raises(ValueError, match="no output lies along 'time'"):
        in_time().scoring(trajectories(5, 0), About())


def test_recipes_without_times_are_the_same_ones() -> None:
    written = Conformal(spread=Learnt()).model_dump(mode="json")
    assert not {"per", "window"} & set(written)
    method = in_time((0.5, 1.0))
    assert uncertainty(method.model_dump(mode="json")) == method


def test_the_promise_names_the_times() -> None:
    assert promise({"kind": "conformal"}) == Conformal.promise
    assert promise({"kind": "conformal", "per": "time"}).endswith("of all points at all stored times together.")
    said = promise(in_time((0.5, 1.2)).model_dump(mode="json"))
    assert said.endswith("of all points at the stored times from 0.5 to 1.2 together.")
