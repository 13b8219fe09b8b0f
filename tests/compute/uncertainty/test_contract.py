"""What every method of error bars keeps, and who may name one."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.uncertainty.catalogue import LEAST, METHODS, USUAL, calibrated, uncertainty
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.none import NoUncertainty
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.spread.catalogue import SPREADS
from ritz.compute.uncertainty.spread.learnt import Learnt
from ritz.compute.uncertainty.uncertainty import Uncertainty
from tests.compute.problems.families import SMALL
from tests.compute.uncertainty.models import alone, solved, together
from tests.compute.uncertainty.models import predicted as of_model
from tests.compute.uncertainty.test_defect import predicted as of_problem

ROOT = Path(__file__).parents[3]

SHIPPED: list[Uncertainty] = [Conformal(levels=(0.5, 0.9)), NoUncertainty()]


def predicted(n: int, seed: int) -> Predicted:
    rng = np.random.default_rng(seed)
    a, u = rng.standard_normal((2, n, 8, 8))
    return Predicted({"a": a}, {"u": u}, {"u": u + 0.1 * rng.standard_normal(u.shape)})


def test_all_shipped_methods_are_here() -> None:
    assert {type(method) for method in SHIPPED} == set(METHODS.kinds().values())


@pytest.mark.parametrize("method", SHIPPED, ids=lambda method: method.kind)
def test_what_is_calibrated_survives_bytes_and_holds_the_truth_as_often_as_it_says(method: Uncertainty) -> None:
    assert uncertainty(method.model_dump(mode="json")) == method
    made = method.calibrate(predicted(40, 0), predicted(60, 1))
    again = calibrated(made.to_bytes())
    assert again == made
    assert again.levels == method.levels
    test = predicted(50, 2)
    for coverage in again.measure(test):
        lower, upper = again.interval(test.inputs, test.prediction, coverage.level)
        inside = (lower["u"] <= test.truth["u"]) & (test.truth["u"] <= upper["u"])
        assert coverage.measured == pytest.approx(inside.mean(), abs=1e-3)
        assert coverage.measured == pytest.approx(coverage.level, abs=0.06)
        assert coverage.width == pytest.approx((upper["u"] - lower["u"]).mean(), rel=1e-4)
        assert set(coverage.document()) >= {"nominal", "measured", "width"}
    with pytest.raises(ValueError, match=r"level is 0\.3"):
        again.interval(test.inputs, test.prediction, 0.3)


@pytest.mark.parametrize("kind", SPREADS.kinds())
def test_every_spread_keeps_what_it_found_and_holds_the_truth_as_often_as_it_says(kind: str) -> None:
    problem = SMALL["darcy"]
    method = Conformal.model_validate({"levels": [0.9], "spread": {"kind": kind}})
    model = together(problem) if kind == "members" else alone(problem) if kind == "laplace" else None
    known = About({}, Dimensions.of(problem.template(1)), problem, model, [solved(problem, 20, 300)])

    def samples(n: int, first: int) -> Predicted:
        return of_problem(problem, n, first) if model is None else of_model(model, problem, n, first)

    made = method.calibrate(samples(10, 0), samples(40, 100), known)
    again, test = calibrated(made.to_bytes()), samples(40, 200)
    assert again.to_bytes() == made.to_bytes()
    if model is not None:
        with pytest.raises(ValueError, match="read them together with their model"):
            again.interval(test.inputs, test.prediction, 0.9)
        again = again.beside(model)
    [coverage] = again.measure(test)
    lower, upper = again.interval(test.inputs, test.prediction, 0.9)
    inside = (lower["u"] <= test.truth["u"]) & (test.truth["u"] <= upper["u"])
    np.testing.assert_allclose(coverage.shares, inside.reshape(40, -1).mean(axis=1), atol=0.01)
    assert coverage.measured == pytest.approx(0.9, abs=0.06)
    assert coverage.expected == (0.9, 0.9 + 1 / 41)
    whole = coverage.fields
    assert whole is not None
    assert 30 <= whole.inside <= whole.of == 40
    assert whole.width > coverage.width


def test_levels_that_would_not_be_calibrated_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 0 items"):
        uncertainty({"kind": "none", "levels": [0.9]})


@pytest.mark.parametrize("method", SHIPPED, ids=lambda method: method.kind)
def test_needs_name_splits_and_fields_that_there_are(method: Uncertainty) -> None:
    for split, need in method.needs().items():
        assert split in ("validate", "calibrate")
        assert need.least > 0
        assert need.reason
        assert set(need.fields) <= set(type(method).model_fields)


def test_bands_of_an_older_release_are_read() -> None:
    """They were learnt, in one zone and for points alone."""
    method = Conformal(levels=(0.5, 0.9), spread=Learnt(zones=False))
    made, test = method.calibrate(predicted(40, 0), predicted(60, 1)), predicted(5, 2)
    document = json.loads(made.to_bytes())
    older = {
        "levels": document["levels"],
        "outputs": {
            name: {
                "width": document["spread"]["widths"][name],
                "factors": [level[0] for level in factors["points"]],
                "constants": factors["constants"],
            }
            for name, factors in document["outputs"].items()
        },
        "dimensions": None,
    }
    read = calibrated(json.dumps(older).encode())
    for level in (0.5, 0.9):
        for mine, its in zip(
            made.interval(test.inputs, test.prediction, level),
            read.interval(test.inputs, test.prediction, level),
            strict=True,
        ):
            np.testing.assert_array_equal(mine["u"], its["u"])
    assert read.measure(test)[0].fields is None
    assert read.measure(test)[0].expected is None


def test_what_an_older_release_kept_has_no_kind() -> None:
    made = USUAL.calibrate(predicted(40, 0), predicted(60, 1))
    assert calibrated(made.to_bytes().replace(b'"kind":"conformal",', b"", 1)) == made
    assert LEAST.needs()["calibrate"].least == 1


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        (b"[]", "expected a mapping, found list"),
        (b'{"kind": "guess"}', "no method 'guess', expected one of 'conformal'"),
    ],
)
def test_what_is_no_such_file_is_named(blob: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        calibrated(blob)


def test_nobody_outside_the_room_names_a_class_of_it() -> None:
    rooms = [ROOT / name for name in ("compute", "flows", "storage", "tasks")]
    files = [
        path for room in rooms for path in room.rglob("*.py") if ROOT / "compute" / "uncertainty" not in path.parents
    ]
    named = {
        (str(path.relative_to(ROOT)), node.module)
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ritz.compute.uncertainty.")
    }
    doors = (
        "catalogue",
        "coverage",
        "predicted",
        "scoring",
        "uncertainty",
        "verification.fields",
        "verification.rollouts",
        "novelty.catalogue",
        "novelty.novelty",
        # Questions about populations, and what answers them: none of these is one method of several.
        *(f"propagation.{name}" for name in ("propagation", "points", "rungs", "telescope", "influence")),
        # Laws of rows: what they are of, on which grid, and their union.
        *(f"propagation.laws.{name}" for name in ("catalogue", "input_law", "joined", "on_grid", "stored_inputs")),
    )
    allowed = {f"ritz.compute.uncertainty.{name}" for name in doors}
    assert {module for _, module in named} <= allowed


def test_without_error_bars_no_sample_is_kept() -> None:
    scoring = uncertainty({"kind": "none"}).scoring(predicted(4, 0), About())
    assert not scoring.scores(predicted(5, 1)).rows
    assert scoring.calibrated(scoring.scores(predicted(5, 1))).levels == ()
