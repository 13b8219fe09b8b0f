"""Whether inputs are like those of the training: how often the law itself is called unlike, and what is caught."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.problem import Arrays
from ritz.compute.uncertainty.novelty import Novelty
from ritz.tasks.recipes import load
from tests.tasks.families import FAMILIES

LAWS = ("darcy", "darcy-contrast", "darcy-two-phase", "burgers", "convection", "heat", "helmholtz", "plate", "poisson")
DRAWN = 500


def _drawn(recipe: str, points: int = 24) -> tuple[Arrays, tuple[str, ...], Dimensions]:
    problem = load(recipe).problem
    fields = type(problem).model_fields
    coarser = {"shape": (points, points)} if "shape" in fields else {"points": 64} if "points" in fields else {}
    problem = type(problem).model_validate(problem.model_dump() | coarser)
    template = problem.template(1)
    dimensions = Dimensions.of(template)
    logs = tuple(name for name in dimensions.inputs if template[name].attrs["transform"] == "log")
    return problem.draw(0, np.arange(DRAWN)), logs, dimensions


def _rows(inputs: Arrays, rows: slice) -> Arrays:
    return {name: values[rows] for name, values in inputs.items()}


@pytest.mark.parametrize(("trained", "rate"), [(24, 0.04), (96, 0.04), (400, 0.01)])
def test_inputs_of_the_law_are_rarely_called_unlike(trained: int, rate: float) -> None:
    """The mean over nine laws; measured 0.8, 1.0 and 0.1 %."""
    found = []
    for recipe in LAWS:
        inputs, logs, dimensions = _drawn(recipe)
        novelty = Novelty.fit(_rows(inputs, slice(trained)), logs, dimensions)
        found.append(float(novelty.judge(_rows(inputs, slice(trained, None))).outside.mean()))
    assert np.mean(found) <= rate / 2
    assert max(found) <= 2 * rate


CHANGES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "scaled": lambda z, _: 10 * z,
    "shifted": lambda z, unit: z + 5 * unit,
    "rougher": lambda z, unit: z + 0.5 * unit * np.random.default_rng(0).standard_normal(z.shape),
    "smoother": lambda z, _: _smoothed(z),
    "constant": lambda z, _: np.ones_like(z) * z.mean(axis=tuple(range(1, z.ndim)), keepdims=True),
    "permuted": lambda z, _: z.reshape(len(z), -1)[:, np.random.default_rng(0).permutation(z[0].size)].reshape(z.shape),
}


def _smoothed(z: np.ndarray) -> np.ndarray:
    """Return means over a fifth of the box along every axis."""
    for axis in range(1, z.ndim):
        width = max(2, z.shape[axis] // 5)
        z = np.mean([np.roll(z, shift, axis) for shift in range(width)], axis=0)
    return z


@pytest.mark.parametrize("change", list(CHANGES))
@pytest.mark.parametrize("recipe", ["darcy", "darcy-contrast", "darcy-two-phase", "burgers", "helmholtz", "heat"])
def test_inputs_of_another_law_are_called_unlike(recipe: str, change: str) -> None:
    inputs, logs, dimensions = _drawn(recipe)
    novelty = Novelty.fit(_rows(inputs, slice(400)), logs, dimensions)
    others = _rows(inputs, slice(400, None))
    for name, values in others.items():
        if any(dimensions.along(name)):
            natural = np.log(values) if name in logs else values.astype(np.float64)
            changed = CHANGES[change](natural, novelty.units[name])
            others[name] = np.exp(np.minimum(changed, 80)) if name in logs else changed
    judged = novelty.judge(others)
    assert judged.outside.mean() >= 0.9
    at = int(judged.score.argmax())
    assert "expected" in judged.reasons[at]


def test_numbers_outside_a_bounded_law_are_called_unlike_just_beyond_its_ends() -> None:
    inputs, logs, dimensions = _drawn("plate")
    novelty = Novelty.fit(_rows(inputs, slice(400)), logs, dimensions)
    others = _rows(inputs, slice(400, None))
    assert not novelty.judge(others | {"level": np.clip(others["level"], 0, 100)}).outside.any()
    for level in (-10.0, 115.0):
        judged = novelty.judge(others | {"level": np.full_like(others["level"], level)})
        assert judged.outside.all()
        assert judged.reasons[0].startswith(f"level[0] value {level:.3g}, expected ")


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_form_of_inputs_is_judged_one_by_one_and_kept(family: str) -> None:
    data = FAMILIES[family]().data
    dimensions = Dimensions.of(data)
    inputs = {name: data[name].values for name in dimensions.inputs}
    logs = tuple(name for name in dimensions.inputs if data[name].attrs["transform"] == "log")
    novelty = Novelty.fit(inputs, logs, dimensions)
    assert Novelty.from_bytes(novelty.to_bytes()) == novelty
    whole = novelty.judge(inputs)
    assert not whole.outside.any()
    one = novelty.judge({name: values[7:8] for name, values in inputs.items()})
    np.testing.assert_allclose(one.score, whole.score[7:8])
    for name, values in inputs.items():
        assert novelty.judge(inputs | {name: 30 * abs(values) + 30}).outside.all()


def test_a_single_training_input_and_one_that_never_varies_can_be_compared_with() -> None:
    inputs, logs, dimensions = _drawn("darcy")
    novelty = Novelty.fit(_rows(inputs, slice(1)), logs, dimensions)
    assert not novelty.judge(_rows(inputs, slice(1))).outside.any()
    flat = {"a": np.ones((20, 24, 24), np.float32)}
    novelty = Novelty.fit(flat, logs, dimensions)
    assert not novelty.judge(flat).outside.any()
    assert novelty.judge({"a": 2 * flat["a"]}).outside.all()
    assert novelty.judge(inputs).outside.all()
