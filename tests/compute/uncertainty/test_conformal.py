from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.uncertainty.conformal.bands import Bands
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.conformal.factors import risk_control
from ritz.compute.uncertainty.conformal.scores import Scores
from ritz.compute.uncertainty.coverage import Coverage
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.spread.alignment import align
from ritz.compute.uncertainty.spread.width import Width


def half_width(bands: Bands, test: Predicted, level: float) -> dict[str, np.ndarray]:
    lower, upper = bands.interval(test.inputs, test.prediction, level)
    return {name: (upper[name] - lower[name]) / 2 for name in lower}


def by_level(found: tuple[Coverage, ...]) -> dict[str, dict[str, Any]]:
    return {f"{one.level:g}": one.document() for one in found}


def _predicted(n: int, seed: int, space: tuple[int, ...] = (12, 12)) -> Predicted:
    """Errors grow with the prediction, with the distance from a wall and from sample to sample with the input."""
    rng = np.random.default_rng(seed)
    x = (np.arange(space[-1]) + 0.5) / space[-1]
    ones = np.ones((n, *space))
    level = np.exp(0.15 * rng.standard_normal((n, *(1,) * len(space))))
    a = level * np.exp(0.3 * rng.standard_normal(ones.shape))
    u = np.sin(np.pi * x) * ones / level
    size = 0.02 * level**2 * (0.1 + x**2) * ones
    wrong = size * rng.standard_normal(ones.shape)
    return Predicted({"a": a}, {"u": u}, {"u": u + wrong})


LOGS = About(transforms={"a": "log"})


def test_risk_control_against_its_definition() -> None:
    rng = np.random.default_rng(0)
    for n, points, level in ((19, 7, 0.9), (40, 5, 0.5), (25, 11, 0.95), (9, 3, 0.9), (30, 1, 0.8)):
        scores = rng.exponential(size=(n, points))
        factor = risk_control(Scores.of(scores), level)

        def controlled(candidate: float, scores: np.ndarray = scores, n: int = n, level: float = level) -> bool:
            return bool(n / (n + 1) * np.mean(scores > candidate) + 1 / (n + 1) <= 1 - level + 1e-12)

        assert controlled(factor)
        below = scores[scores < factor]
        # The risk only changes at a score, so the next smaller one must fail.
        assert below.size == 0 or not controlled(below.max())


def test_too_few_samples_for_a_level_give_no_finite_factor() -> None:
    assert risk_control(Scores.of(np.ones((8, 4))), 0.9) == np.inf
    assert risk_control(Scores.of(np.ones((9, 4))), 0.9) == 1.0


def test_coverage_is_at_least_nominal_on_average_over_calibrations() -> None:
    rng = np.random.default_rng(5)
    levels = (0.5, 0.8, 0.9, 0.95)
    measured = np.zeros((400, len(levels)))
    for row in measured:
        # Whole samples are exchangeable; the points of one sample share its scale.
        scores = np.exp(rng.standard_normal((40 + 40, 1))) * rng.exponential(size=(80, 30))
        row[:] = [np.mean(scores[40:] <= risk_control(Scores.of(scores[:40]), level)) for level in levels]
    mean, error = measured.mean(axis=0), measured.std(axis=0) / np.sqrt(len(measured))
    assert np.all(mean >= np.array(levels) - 3 * error)
    # Not by more than the finite-sample term 1/(n+1) and the step of one sample.
    assert np.all(mean <= np.array(levels) + 2 / 41 + 3 * error)


@pytest.mark.parametrize("space", [(40,), (12, 12), (6, 5, 8)])
def test_bands_cover_and_are_narrower_where_errors_differ(space: tuple[int, ...]) -> None:
    bands = Conformal().calibrate(_predicted(40, 0, space), _predicted(120, 1, space), LOGS)
    measured = by_level(bands.measure(_predicted(300, 2, space)))
    assert list(measured) == ["0.5", "0.8", "0.9", "0.95"]
    for row in measured.values():
        assert row["measured"] == pytest.approx(row["nominal"], abs=0.03)
        assert row["constant_measured"] == pytest.approx(row["nominal"], abs=0.05)
        if row["nominal"] >= 0.9:
            assert row["width"] < 0.8 * row["constant_width_at_equal_coverage"]
            assert row["width"] < 0.8 * row["constant_width"]


def test_without_structure_the_learnt_width_costs_little() -> None:
    def flat(n: int, seed: int) -> Predicted:
        rng = np.random.default_rng(seed)
        a, u = np.exp(rng.standard_normal((n, 12, 12))), rng.standard_normal((n, 12, 12))
        return Predicted({"a": a}, {"u": u}, {"u": u + 0.1 * rng.standard_normal(u.shape)})

    bands = Conformal(levels=(0.9,)).calibrate(flat(60, 0), flat(100, 1), LOGS)
    row = by_level(bands.measure(flat(100, 2)))["0.9"]
    assert row["measured"] == pytest.approx(0.9, abs=0.02)
    assert row["width"] < 1.05 * row["constant_width_at_equal_coverage"]
    # 90 % of a Gaussian lie within 1.645 standard deviations.
    assert row["constant_width"] == pytest.approx(2 * 1.645 * 0.1, rel=0.1)


def test_half_width_is_what_is_measured_and_bands_are_nested() -> None:
    validate, calibrate, test = (_predicted(n, seed) for seed, n in enumerate((30, 60, 50)))
    bands = Conformal().calibrate(validate, calibrate, LOGS)
    halves = [half_width(bands, test, level)["u"] for level in bands.levels]
    assert halves[0].shape == (50, 12, 12)
    for narrow, wide in pairwise(halves):
        assert np.all(narrow < wide)
    lower, upper = bands.interval(test.inputs, test.prediction, 0.9)
    np.testing.assert_allclose((lower["u"] + upper["u"]) / 2, test.prediction["u"], atol=1e-12)
    row = by_level(bands.measure(test))["0.9"]
    assert row["measured"] == pytest.approx(np.mean(test.error("u") <= halves[2]), abs=1e-4)
    assert row["width"] == pytest.approx(2 * halves[2].mean(), rel=1e-5)


def test_bands_survive_bytes_and_another_grid() -> None:
    bands = Conformal().calibrate(_predicted(30, 0), _predicted(60, 1), LOGS)
    again = Bands.from_bytes(bands.to_bytes())
    assert again == bands
    fine = _predicted(5, 2, (24, 20))
    half = half_width(again, fine, 0.9)["u"]
    assert half.shape == (5, 24, 20)
    assert np.all(np.isfinite(half))
    assert np.all(half > 0)


def test_outputs_are_calibrated_one_by_one() -> None:
    def two(n: int, seed: int) -> Predicted:
        one = _predicted(n, seed)
        return Predicted(
            one.inputs,
            {"u": one.prediction["u"], "v": 100 * one.prediction["u"]},
            {"u": one.truth["u"], "v": 100 * one.truth["u"]},
        )

    bands = Conformal(levels=(0.9,)).calibrate(two(30, 0), two(60, 1), LOGS)
    test = two(40, 2)
    half = half_width(bands, test, 0.9)
    np.testing.assert_allclose(half["v"], 100 * half["u"], rtol=0.02)


def test_the_width_follows_the_error_from_sample_to_sample() -> None:
    learnt, test = _predicted(60, 0), _predicted(40, 1)
    width = Width.fit(learnt.inputs, learnt.prediction["u"], learnt.error("u"), ("a",))
    predicted = width.predict(test.inputs, test.prediction["u"]).mean(axis=(1, 2))
    found = test.error("u").mean(axis=(1, 2))
    assert np.corrcoef(np.log(predicted), np.log(found))[0, 1] > 0.95


def _over_time(n: int, seed: int, mesh: bool = False) -> tuple[Predicted, Dimensions]:
    """Errors that grow with time, with one number of the sample and with the place, which on a mesh has no order."""
    rng = np.random.default_rng(seed)
    points = 40
    place = np.linspace(0.1, 1.1, points)
    if mesh:
        place = np.random.default_rng(99).permutation(place)
    p, nu, wall = rng.standard_normal((n, 3)), np.exp(rng.standard_normal(n)), rng.standard_normal((n, points))
    u = np.ones((n, points, 4)) + 0.1 * rng.standard_normal((n, 1, 1))
    size = 0.01 * np.exp(p[:, 1])[:, None, None] * place[:, None] ** 2 * np.array([1.0, 2.0, 3.0, 4.0])
    wrong = size * rng.standard_normal(u.shape)
    dim = "node" if mesh else "x"
    roles = {"p": ("mode",), "nu": (), "wall": (dim,), "u": (dim, "time")}
    sizes = {"mode": 3, dim: points, "time": 4}
    dimensions = Dimensions(space=(dim,), sizes=sizes, variables=roles, inputs=("p", "nu", "wall"))
    return Predicted({"p": p, "nu": nu, "wall": wall}, {"u": u}, {"u": u + wrong}), dimensions


@pytest.mark.parametrize("mesh", [False, True], ids=["grid", "mesh"])
def test_the_width_follows_time_place_and_numbers(mesh: bool) -> None:
    (validate, dimensions), (calibrate, _), (test, _) = (_over_time(n, i, mesh) for i, n in enumerate((60, 120, 200)))
    bands = Conformal(levels=(0.9,)).calibrate(validate, calibrate, About({"nu": "log"}, dimensions))
    row = by_level(Bands.from_bytes(bands.to_bytes()).measure(test))["0.9"]
    assert row["measured"] == pytest.approx(0.9, abs=0.03)
    assert row["width"] < 0.7 * row["constant_width_at_equal_coverage"]
    half = half_width(bands, test, 0.9)["u"]
    assert half.shape == (200, 40, 4)
    expected = test.error("u")
    for axes in ((0, 1), (0, 2), (1, 2)):
        # Over time, over the place and over the samples.
        assert np.corrcoef(np.log(half).mean(axis=axes), np.log(expected.mean(axis=axes)))[0, 1] > 0.9


def test_inputs_are_laid_along_the_axes_of_the_output() -> None:
    predicted, dimensions = _over_time(5, 0)
    found = align(predicted.inputs, "u", dimensions)
    assert {name: values.shape for name, values in found.items()} == {
        "p[0]": (5, 1, 1), "p[1]": (5, 1, 1), "p[2]": (5, 1, 1), "nu": (5, 1, 1), "wall": (5, 40, 1),
    }  # fmt: skip
    np.testing.assert_array_equal(found["p[1]"][:, 0, 0], predicted.inputs["p"][:, 1])
    many = dimensions.model_copy(update={"sizes": dimensions.sizes | {"mode": 33}})
    found = align({"p": np.arange(2 * 33.0).reshape(2, 33)}, "u", many)
    assert {name: values[1, 0, 0] for name, values in found.items() if name != "p[std]"} == {
        "p[mean]": 49.0, "p[min]": 33.0, "p[max]": 65.0,
    }  # fmt: skip


def test_bad_input_is_named() -> None:
    bands = Conformal().calibrate(_predicted(30, 0), _predicted(60, 1), LOGS)
    test = _predicted(4, 2)
    with pytest.raises(ValueError, match=re.escape("level is 0.7, expected one of the calibrated levels (0.5,")):
        half_width(bands, test, 0.7)
    with pytest.raises(ValueError, match=re.escape("inputs ['a'] are missing")):
        bands.interval({}, test.prediction, 0.9)
    with pytest.raises(ValueError, match=r"has 18 samples, expected at least 19 for the level 0\.95"):
        Conformal().calibrate(_predicted(30, 0), _predicted(18, 1))
    with pytest.raises(ValueError, match="there is no validation sample"):
        Conformal().calibrate(_predicted(0, 0), _predicted(60, 1))
    with pytest.raises(ValueError, match=re.escape("prediction 'u' has shape (4, 12, 12), the truths are")):
        Predicted(test.inputs, test.prediction, {"u": test.truth["u"][:2]})
    with pytest.raises(ValidationError, match="expected rising values"):
        Conformal(levels=(0.9, 0.5))
