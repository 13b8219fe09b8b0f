"""Whether inputs are like those of the training: how often the law itself is called unlike, and what is caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.problem import Arrays
from ritz.compute.uncertainty.novelty.catalogue import novelty as read
from ritz.compute.uncertainty.novelty.extremes import Bounds, Extremes
from ritz.compute.uncertainty.novelty.ranks import Ranks
from ritz.tasks.recipes import load
from tests.tasks.families import FAMILIES

LAWS = ("darcy", "darcy-contrast", "darcy-two-phase", "burgers", "convection", "heat", "helmholtz", "plate", "poisson")
DRAWN = 500


def _drawn(
    recipe: str, points: int = 24, count: int = DRAWN, **changes: Any
) -> tuple[Arrays, tuple[str, ...], Dimensions]:
    problem = load(recipe).problem
    fields = type(problem).model_fields
    coarser = {"shape": (points, points)} if "shape" in fields else {"points": 64} if "points" in fields else {}
    problem = type(problem).model_validate(problem.model_dump() | coarser | changes)
    template = problem.template(1)
    dimensions = Dimensions.of(template)
    logs = tuple(name for name in dimensions.inputs if template[name].attrs["transform"] == "log")
    return problem.draw(0, np.arange(count)), logs, dimensions


def _rows(inputs: Arrays, rows: slice) -> Arrays:
    return {name: values[rows] for name, values in inputs.items()}


def _numbers(n: int, seed: int, size: int = 3) -> tuple[Arrays, Dimensions]:
    """Inputs that are a few correlated numbers per sample, with a heavy tail."""
    rng = np.random.default_rng(seed)
    values = rng.standard_t(3, (n, size)) @ rng.standard_normal((size, size))
    dims = {"u": ("x",), "w": ("component",)}
    return {"w": values}, Dimensions(space=("x",), sizes={"x": 4, "component": size}, variables=dims, inputs=("w",))


def test_inputs_of_the_law_are_flagged_as_seldom_as_promised_whatever_the_law() -> None:
    """Of 400 datasets with 200 ranked inputs each: a draw is flagged with the probability 2/201."""
    shares = []
    for seed in range(400):
        inputs, dimensions = _numbers(350, seed)
        novelty = Ranks.fit(_rows(inputs, slice(300)), (), dimensions)
        assert len(novelty.own_grid.known) == 200
        shares.append(float(novelty.judge(_rows(inputs, slice(300, None))).outside.mean()))
    assert np.mean(shares) == pytest.approx(2 / 201, abs=3 * float(np.std(shares)) / 20)


def test_p_values_of_new_inputs_are_uniform() -> None:
    found = []
    for seed in range(300):
        inputs, dimensions = _numbers(151, seed)
        found.append(
            float(Ranks.fit(_rows(inputs, slice(150)), (), dimensions).judge(_rows(inputs, slice(150, 151))).p[0])
        )
    for level in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / 300))


@pytest.mark.parametrize("ranked", [99, 100, 199, 200, 299, 300, 699, 700, 701])
def test_an_input_is_outside_where_p_is_below_one_percent_and_nowhere_else(ranked: int) -> None:
    count = next(n for n in range(ranked, 2 * ranked) if n - n // 3 == ranked)
    inputs, dimensions = _numbers(count, 0)
    novelty = Ranks.fit(inputs, (), dimensions)
    known = np.array(novelty.own_grid.known)
    assert len(known) == ranked
    judged = novelty.judge({"w": np.outer(np.linspace(0, 30, 500), np.ones(3))})
    scores = judged.score * novelty.own_grid.edge
    counted = np.array([(1 + np.sum(known >= one - 1e-9)) / (1 + ranked) for one in scores])
    np.testing.assert_allclose(judged.p, counted, rtol=1e-12)
    if ranked < 100:
        assert judged.unsure == "too few inputs to tell, among 99 known ones no p-value is below 0.01"
        assert not judged.outside.any()
        assert judged.p.min() == 1 / 100
    else:
        assert not judged.unsure
        np.testing.assert_array_equal(judged.outside, judged.p < 0.01)
        assert 0 < judged.outside.sum() < 500


def test_known_inputs_that_fit_the_score_and_those_that_are_ranked_are_others() -> None:
    inputs, dimensions = _numbers(300, 5)
    novelty = Ranks.fit(inputs, (), dimensions)
    judged = novelty.judge(inputs)
    scores = np.sort(np.round(judged.score * novelty.own_grid.edge, 6))
    among = np.isin(scores, np.round(novelty.own_grid.known, 6))
    assert among.sum() == len(novelty.own_grid.known) == 200
    moved = inputs["w"].copy()
    # The farthest input is a ranked one or not: where it is, moving it changes nothing but its own score.
    ranked = np.random.default_rng(0).permutation(300)[100:]
    moved[ranked[0]] *= 100
    again = Ranks.fit({"w": moved}, (), dimensions).own_grid
    assert again.known[-1] > novelty.own_grid.known[-1]
    assert (again.location, again.factor) == (novelty.own_grid.location, novelty.own_grid.factor)


@pytest.mark.parametrize(("known", "rate"), [(160, 0.02), (480, 0.02)])
def test_inputs_of_the_recipes_are_rarely_called_unlike(known: int, rate: float) -> None:
    """The mean over nine laws; measured 1.0 and 1.0 %."""
    found = []
    for recipe in LAWS:
        inputs, logs, dimensions = _drawn(recipe, count=known + 400)
        novelty = Ranks.fit(_rows(inputs, slice(known)), logs, dimensions)
        found.append(float(novelty.judge(_rows(inputs, slice(known, None))).outside.mean()))
    assert 0.002 < np.mean(found) <= rate
    assert max(found) <= 2.5 * rate


LOGNORMAL = {"kind": "lognormal", "tau": 3.0, "alpha": 2.0, "sigma": 1.0}


@pytest.mark.parametrize("change", [{"alpha": 1.5}, {"tau": 6.0}, {"sigma": 1.5}], ids=str)
def test_a_neighbouring_gaussian_law_is_told_by_the_statistics_together(change: dict[str, float]) -> None:
    inputs, logs, dimensions = _drawn("darcy", count=320)
    others, _, _ = _drawn("darcy", count=100, law=LOGNORMAL | change)
    judged = Ranks.fit(inputs, logs, dimensions).judge(others)
    assert judged.outside.mean() >= 0.7
    assert any(reason.endswith("beside its other statistics") for reason in judged.reasons) == ("alpha" not in change)


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
    novelty = Ranks.fit(_rows(inputs, slice(400)), logs, dimensions)
    others = _rows(inputs, slice(400, None))
    for name, values in others.items():
        if any(dimensions.along(name)):
            natural = np.log(values) if name in logs else values.astype(np.float64)
            changed = CHANGES[change](natural, novelty.units[name])
            others[name] = np.exp(np.minimum(changed, 80)) if name in logs else changed
    judged = novelty.judge(others)
    assert judged.outside.mean() >= 0.9
    assert "expected" in judged.reasons[int(judged.score.argmax())]


def test_on_another_grid_the_statistics_that_depend_on_it_are_left_out() -> None:
    inputs, logs, dimensions = _drawn("darcy", count=320)
    novelty = Ranks.fit(inputs, logs, dimensions)
    finer, _, _ = _drawn("darcy", points=48, count=500)
    assert novelty.judge(_rows(finer, slice(320, None))).outside.mean() <= 0.03
    assert novelty.judge({"a": 1e6 * finer["a"]}).outside.all()
    assert not any("roughness" in name or "fineness" in name for name in novelty.any_grid.names)


def test_a_number_outside_a_bounded_law_is_called_unlike_just_beyond_its_ends() -> None:
    inputs, logs, dimensions = _drawn("plate")
    novelty = Ranks.fit(_rows(inputs, slice(400)), logs, dimensions)
    others = _rows(inputs, slice(400, None))
    assert novelty.judge(others).outside.mean() <= 0.03
    for level in (-10.0, 110.0):
        changed = others["level"].copy()
        changed[:, 0] = level
        judged = novelty.judge(others | {"level": changed})
        assert judged.outside.all()
        assert judged.reasons[0].startswith(f"level[0] value {level:.3g}, expected ")


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_form_of_inputs_is_judged_one_by_one_and_kept(family: str) -> None:
    data = FAMILIES[family]().data
    dimensions = Dimensions.of(data)
    inputs = {name: data[name].values for name in dimensions.inputs}
    logs = tuple(name for name in dimensions.inputs if data[name].attrs["transform"] == "log")
    novelty = Ranks.fit(inputs, logs, dimensions)
    assert read(novelty.to_bytes()) == novelty
    whole = novelty.judge(inputs)
    assert not whole.outside.any()
    one = novelty.judge({name: values[7:8] for name, values in inputs.items()})
    np.testing.assert_allclose(one.score, whole.score[7:8])
    for name, values in inputs.items():
        judged = novelty.judge(inputs | {name: 30 * abs(values) + 30})
        assert (judged.p == 1 / (1 + len(novelty.own_grid.known))).all()
        assert (judged.score > 1).all()


def test_a_single_known_input_and_one_that_never_varies_can_be_compared_with() -> None:
    inputs, logs, dimensions = _drawn("darcy")
    alone = Ranks.fit(_rows(inputs, slice(1)), logs, dimensions).judge(inputs)
    assert alone.unsure == "too few inputs to tell, among 0 known ones no p-value is below 1"
    assert (alone.p == 1).all()
    assert not alone.outside.any()
    flat = {"a": np.ones((150, 24, 24), np.float32)}
    novelty = Ranks.fit(flat, logs, dimensions)
    assert not novelty.judge(flat).outside.any()
    assert not novelty.judge({"a": flat["a"] * np.float32(1 + 1e-6)}).outside.any()
    assert novelty.judge({"a": 2 * flat["a"]}).outside.all()
    assert novelty.judge(inputs).outside.all()


def test_what_an_older_release_kept_is_read_and_says_its_rule() -> None:
    inputs, logs, dimensions = _drawn("plate", count=20)
    names = [f"{name}[{k}] value" for name in dimensions.inputs for k in range(2)]
    older = Extremes(
        samples=20,
        logs=logs,
        units=dict.fromkeys(dimensions.inputs, 1.0),
        bounds={name: Bounds(low=-200.0, high=200.0) for name in names},
        dimensions=dimensions,
    )
    found = read(older.to_bytes())
    assert found == older
    assert older.kind == "extremes"
    judged = found.judge(inputs | {"level": inputs["level"] + 300})
    assert judged.outside.all()
    assert np.isnan(judged.p).all()
    assert judged.rule == "the rule 'extremes' of an older release"
    assert judged.reasons[0].endswith(", expected -200 to 200")
    with pytest.raises(ValueError, match="guess"):
        read(b'{"kind": "guess"}')
