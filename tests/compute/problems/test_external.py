"""Samples that were solved elsewhere: what is known of them, and one line where something is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.catalogue import AnyProblem
from ritz.compute.problems.external import Along, External, Stored

ALONG = (
    Along(name="time", count=3, axis="T", values=(0.0, 0.1, 1.0), units="s"),
    Along(name="y", count=4, axis="Y", first=0.125, last=0.875),
    Along(name="x", count=6, axis="X", first=0.0, last=1.0, units="m"),
)
VARIABLES = (
    Stored(name="a", role="input", dims=("y", "x"), transform="log"),
    Stored(name="rate", role="input", dims=(), units="s-1"),
    Stored(name="u", role="output", dims=("time", "y", "x"), units="K", long_name="temperature"),
)
PROBLEM = External(origin="0" * 64, along=ALONG, variables=VARIABLES)


def test_the_template_is_what_was_imported() -> None:
    template = PROBLEM.template(10**6)
    assert template["u"].dims == ("sample", "time", "y", "x")
    assert template["u"].values.strides[0] == 0
    assert template["u"].attrs == {
        "role": "output", "transform": "identity", "units": "K", "long_name": "temperature"
    }  # fmt: skip
    assert template["time"].values.tolist() == [0.0, 0.1, 1.0]
    assert template["x"].values == pytest.approx(np.linspace(0, 1, 6))
    dimensions = Dimensions.of(template)
    assert (dimensions.space, dimensions.inputs) == (("y", "x"), ("a", "rate"))
    assert dimensions.lengths == (1.0, 1.2)


def test_it_comes_back_from_a_recipe() -> None:
    document = PROBLEM.model_dump(mode="json")
    assert TypeAdapter(AnyProblem).validate_python(document) == PROBLEM


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: PROBLEM.draw(0, np.arange(3)), "read from the dataset, not drawn"),
        (lambda: PROBLEM.simulate({}, lambda _: np.empty(0)), "no equations to solve"),
        (lambda: PROBLEM.residual({"a": np.ones((1, 4, 6))}, {"u": np.ones((1, 3, 4, 6))}), "ritz audit NAME --as"),
        (lambda: PROBLEM.rounding({}, {}), "its equations are not known"),
        (lambda: PROBLEM.corrected({}, {}, lambda _: np.empty(0)), "no correction of its fields"),
    ],
    ids=["draw", "simulate", "residual", "rounding", "corrected"],
)
def test_what_would_solve_it_refuses_in_one_line(call: Any, said: str) -> None:
    with pytest.raises(ValueError, match="not solved by Ritz") as raised:
        call()
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_features_are_means_of_the_inputs_as_a_surrogate_sees_them() -> None:
    a = np.exp(np.arange(2 * 24, dtype=float).reshape(2, 4, 6))
    features = PROBLEM.features({"a": a, "rate": np.array([3.0, 4.0])})
    assert features.shape == (2, 9)
    assert features.dtype == np.float32
    assert features[0, :2] == pytest.approx([1.0, 4.0])
    assert features[:, -1].tolist() == [3.0, 4.0]


def test_points_are_written_as_shortly_as_they_can_be() -> None:
    even = (np.arange(128) + 0.5) / 128
    kept = Along.at("x", even.astype(np.float32), "X", "1")
    assert (kept.first, kept.last, kept.values) == (0.00390625, 0.99609375, ())
    uneven = Along.at("x", np.array([0.0, 0.1, 0.3]), "X", "1")
    assert uneven.values == (0.0, 0.1, 0.3)
    assert uneven.coordinates is not None
    assert Along(name="component", count=2).coordinates is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"variables": VARIABLES[:2]}, "all variables have the role 'input', expected inputs and outputs"),
        ({"variables": (*VARIABLES, VARIABLES[0])}, "variables has 'a' more than once"),
        ({"along": ALONG[:2]}, "variable 'a' has the dimension 'x', expected dimensions among"),
        (
            {"variables": (VARIABLES[0], Stored(name="u", role="output", dims=("y",)))},
            "output 'u' has the dimensions",
        ),
        ({"origin": "none"}, "origin"),
    ],
    ids=["roles", "twice", "unknown", "not on all of space", "origin"],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said.split("'")[0]):
        External.model_validate(dict(PROBLEM) | change)
