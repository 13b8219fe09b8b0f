"""Derivatives of problems that assemble none, by colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import xarray as xr

from ritz.compute.fields.arrays import namespace, padded, roll
from ritz.compute.problems.colouring import colours
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.derivatives import Unknowns, coloured_step
from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.problem import Arrays, Problem, Solve
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.operators import Matrices, Stencil
from ritz.compute.solvers.systems import Systems
from tests.explicit import Explicit


class Pair(Problem):
    """Two fields on a torus of five by four points, of which one has two values at each: diffusion and a reaction."""

    kind: Literal["pair"] = "pair"
    reach: int = 1
    shape: tuple[int, int] = (5, 4)

    def template(self, n: int) -> xr.Dataset:
        ny, nx = self.shape
        about: dict[str, Any] = {"transform": "identity", "units": "1", "long_name": "value"}
        u, w = np.zeros((n, ny, 2, nx), np.float32), np.zeros((n, ny, nx), np.float32)
        return xr.Dataset(
            {
                "k": (("sample", "y", "x"), w, about | {"role": "input"}),
                "u": (("sample", "y", "part", "x"), u, about | {"role": "output"}),
                "w": (("sample", "y", "x"), w, about | {"role": "output"}),
            }
        )

    @property
    def rings(self) -> tuple[str, ...]:
        return ("y", "x")

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        return {"k": np.array([np.random.default_rng((seed, i)).uniform(1, 2, self.shape) for i in ids], np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return inputs["k"][:, 0]

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        raise NotImplementedError

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        raise NotImplementedError

    def scale(self, inputs: Mapping[str, Any]) -> float:
        del inputs
        return 1.0

    def equations(self, inputs: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        u, w, k = fields["u"], fields["w"], inputs["k"]
        around = sum(roll(w, way, axis) for axis in (1, 2) for way in (-self.reach, self.reach))
        mixed = namespace(u).stack([u[:, :, 1] * w, u[:, :, 0] - w], 2)
        return {"u": 3 * u - roll(u, 1, 1) - roll(u, -1, 3) + mixed, "w": k * (4 * w - around) + u.sum(2) ** 3}


class Local(Darcy):
    """Darcy flow without a matrix of its own, on one line as well."""

    kind: Literal["local"] = "local"  # type: ignore[assignment]
    linearised = Problem.linearised  # type: ignore[assignment, pydantic-field]


class Kept(Local):
    """The same for NumPy alone."""

    kind: Literal["kept"] = "kept"  # type: ignore[assignment]
    in_torch: ClassVar[bool] = False


class Broken(Local):
    """One whose equations need NumPy, and says nothing of it."""

    kind: Literal["broken"] = "broken"  # type: ignore[assignment]

    def equations(self, inputs: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"u": np.linalg.norm(inputs["a"] * fields["u"].astype(float), axis=2)}


class Wide(Local):
    """One that couples every point to the next but one."""

    kind: Literal["wide"] = "wide"  # type: ignore[assignment]

    def equations(self, inputs: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        twice = padded(padded(fields["u"], 2), 2)
        return {"u": super().equations(inputs, fields)["u"] + 0.01 * twice[:, :, 4:]}


def dense(problem: Problem, inputs: Arrays, fields: Arrays) -> np.ndarray:
    """Return the derivatives of one sample's equations, by central differences."""
    shapes = Unknowns.of(problem).shapes
    x = np.concatenate([fields[name][0].ravel() for name in shapes])

    def function(x: np.ndarray) -> np.ndarray:
        parts = np.split(x, np.cumsum([np.prod(shape) for shape in shapes.values()])[:-1])
        given = {name: part.reshape(1, *shapes[name]) for name, part in zip(shapes, parts, strict=True)}
        found = problem.equations({name: values[:1] for name, values in inputs.items()}, given)
        return np.concatenate([found[name].ravel() for name in shapes])

    h = 1e-5
    return np.stack([(function(x + h * e) - function(x - h * e)) / (2 * h) for e in np.eye(len(x))], axis=1)


def drawn(problem: Problem, n: int = 2) -> tuple[Arrays, Arrays]:
    inputs = {name: values.astype(np.float64) for name, values in problem.draw(0, np.arange(n)).items()}
    rng = np.random.default_rng(1)
    return inputs, {name: rng.uniform(0.5, 1.5, (n, *shape)) for name, shape in Unknowns.of(problem).shapes.items()}


@pytest.mark.parametrize("problem", [Pair(), Local(shape=(5, 6)), Local(shape=(4, 6, 5)), Explicit(points=7, steps=3)])
def test_derivatives_by_colours_are_those_by_differences(problem: Problem) -> None:
    inputs, fields = drawn(problem)
    assert problem.unlinearisable() == ""
    operators = problem.linearised(inputs, fields)
    assert operators is not None
    assert isinstance(operators, Stencil if isinstance(problem, Local) else Matrices)
    assert len(operators) == 2
    wanted = dense(problem, inputs, fields)
    np.testing.assert_allclose(operators.csr(0).toarray(), wanted, atol=1e-8 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("problem", "why"),
    [
        (Kept(shape=(5, 6)), "its equations take NumPy arrays alone"),
        (Broken(shape=(5, 6)), "AttributeError: 'Tensor' object has no attribute 'astype'"),
        (Wide(shape=(5, 6)), "the equations of problem 'wide' couple beyond the nearest neighbours along the axes"),
        (Pair(shape=(5, 2)), "a ring has fewer than 3 points: (5, 2)"),
        (Pair(reach=2, shape=(7, 8)), "the equations of problem 'pair' couple beyond the nearest neighbours"),
        (Explicit(steps=20), "it has 20 values at a point, expected at most 16"),
    ],
)
def test_a_problem_without_derivatives_says_why(problem: Problem, why: str) -> None:
    assert problem.unlinearisable().startswith(why)
    assert problem.linearised(*drawn(problem)) is None


def test_a_problem_in_time_for_numpy_alone_has_none() -> None:
    class Alone(Heat):
        in_torch: ClassVar[bool] = False

    problem = Alone(shape=(4, 5), steps=2)
    inputs, fields = problem.draw(0, np.arange(1)), {"u": np.ones((1, 3, 4, 5))}
    assert problem.unlinearisable() == "its equations take NumPy arrays alone"
    assert problem.linearised(inputs, fields, 0) is None
    with pytest.raises(NotImplementedError, match="problem 'heat' has no penalty"):
        problem.penalty({}, {})
    with pytest.raises(ValueError, match="step is 3, expected 0 to 2"):
        Heat(shape=(4, 5), steps=2).linearised(inputs, fields, 3)


def test_derivatives_that_reach_further_at_some_fields_alone_are_an_error() -> None:
    class Sometimes(Local):
        def equations(self, inputs: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
            u = fields["u"]
            far = padded(padded(u, 2), 2)[:, :, 4:]
            return {"u": super().equations(inputs, fields)["u"] + namespace(u).clip(far - 10, 0, None)}

    problem = Sometimes(shape=(5, 6))
    inputs, fields = drawn(problem)
    assert problem.linearised(inputs, fields) is not None
    with pytest.raises(ValueError, match="couple beyond the nearest neighbours"):
        problem.linearised(inputs, {"u": fields["u"] + 20})


def test_a_step_of_an_evolution_without_a_matrix_of_its_own() -> None:
    class Bare(Burgers):
        step_linearised = Evolution.step_linearised  # type: ignore[assignment, pydantic-field]

    problem = Bare(points=14, steps=2)
    inputs, fields = problem.draw(0, np.arange(2)), {"u": np.random.default_rng(0).standard_normal((2, 2, 14))}
    found = problem.linearised(inputs, fields, 1)
    assert found is not None
    before, after = ({"u": fields["u"][:, k]} for k in (0, 1))
    wanted = Burgers(points=14, steps=2).step_linearised(inputs, before, after, 1)
    for i in range(2):
        np.testing.assert_allclose(found[0].csr(i).toarray(), wanted.csr(i).toarray(), atol=1e-12)
    assert isinstance(coloured_step(problem, inputs, before, after, 1), Matrices)
    # What a change v of the state before makes of the state after is -J⁻¹ C v: then the equations go on to hold.
    v = np.random.default_rng(1).standard_normal((2, 14))
    lost = found[1].product(v)
    carried = Direct().solve(Systems(found[0], -lost), rtol=1e-12)[0].x

    def left_over(size: float) -> np.ndarray:
        then, now = ({"u": (at["u"] + size * change)[:, None]} for at, change in ((after, carried), (before, v)))
        return problem.step_equations(inputs, now, then, np.array([1]))["u"][:, 0]

    change = (left_over(1e-4) - left_over(-1e-4)) / 2e-4
    assert np.abs(change).max() < 1e-8 * np.abs(lost).max()


@pytest.mark.parametrize("points", [3, 4, 5, 6, 7, 8, 11, 13, 48, 128])
def test_on_a_ring_no_equation_sees_a_colour_twice(points: int) -> None:
    line = colours((points,), (True,))
    assert all(len({line[i - 1], line[i], line[(i + 1) % points]}) == 3 for i in range(points))
    assert line.max() + 1 == (3 if points % 3 == 0 else 5 if points == 5 else 4)


@pytest.mark.parametrize(
    ("shape", "rings"),
    [
        ((6, 7), (False, False)),
        ((5, 10), (True, True)),
        ((7, 11), (True, True)),
        ((8, 6), (True, False)),
        ((3, 4, 5), (False, False, False)),
        ((4, 7, 6), (True, True, False)),
    ],
)
def test_in_more_dimensions_no_equation_sees_a_colour_twice(shape: tuple[int, ...], rings: tuple[bool, ...]) -> None:
    kinds = colours(shape, rings)
    for place in np.ndindex(shape):
        seen = [kinds[place]]
        for axis, way in ((axis, way) for axis in range(len(shape)) for way in (-1, 1)):
            there = list(place)
            there[axis] += way
            if rings[axis] or 0 <= there[axis] < shape[axis]:
                there[axis] %= shape[axis]
                seen.append(kinds[tuple(there)])
        assert len(set(seen)) == len(seen)
    if not any(rings) or shape == (5, 10):
        assert kinds.max() + 1 == 2 * len(shape) + 1


@pytest.mark.parametrize("name", ["residual", "boundary", "penalty"])
def test_what_follows_from_the_equations_is_not_written_anew(name: str) -> None:
    line = rf"Own\.{name} is final; .*`equations\(self, inputs, fields\) -> {{output: A u − b}}` and `scale"
    with pytest.raises(TypeError, match=line):
        type("Own", (Plate,), {name: lambda *_: None})


@pytest.mark.parametrize("name", ["equations", "scale", "relative", "linearised"])
def test_the_equations_of_an_evolution_are_those_of_its_steps(name: str) -> None:
    with pytest.raises(TypeError, match=rf"Own\.{name} is final; expected `step_equations\(self, inputs, before"):
        type("Own", (Heat,), {name: lambda *_: None})
