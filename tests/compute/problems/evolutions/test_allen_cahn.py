from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.problems.evolutions.allen_cahn import AllenCahn
from ritz.compute.problems.problem import Arrays
from ritz.compute.problems.ranges import Range
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.cyclic import Cyclic
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.systems import Systems


def run(problem: AllenCahn, inputs: Arrays) -> np.ndarray:
    """Return the states of a block, ``(n, steps, *shape)``."""
    solver = Cyclic() if len(problem.shape) == 1 else Krylov(method="cg", preconditioner="none")
    fields, ledger = simulate(problem, inputs, solver, 1e-10)
    assert set(ledger["status"]) == {"ok"}
    return fields["u"]


def energy(problem: AllenCahn, u: np.ndarray, epsilon: np.ndarray | float) -> np.ndarray:
    """Return the energies of states ``(n, steps, *shape)``, divided by the number of cells."""
    axes = tuple(range(2, u.ndim))
    slopes = sum(
        ((np.roll(u, -1, axis) - u) * cells / problem.length) ** 2
        for axis, cells in zip(axes, problem.shape, strict=True)
    )
    density = 0.5 * np.reshape(epsilon, (-1, *(1,) * (u.ndim - 1))) ** 2 * slopes + 0.25 * (u**2 - 1) ** 2
    found: np.ndarray = density.mean(axis=axes)
    return found


def states(problem: AllenCahn, inputs: Arrays) -> np.ndarray:
    """Return all states, the first among them."""
    return np.concatenate([inputs["u0"][:, None], run(problem, inputs)], axis=1)


def test_a_uniform_state_follows_the_solution_to_second_order_in_time() -> None:
    u0, end = np.array([-0.7, 0.01, 0.2, 1.8]), 4.0
    exact = u0 / np.sqrt(u0**2 + (1 - u0**2) * np.exp(-2 * end))
    errors = []
    for steps in (8, 16, 32, 64):
        problem = AllenCahn(shape=(4,), steps=steps, end=end, tolerance=1e-12)
        errors.append(np.abs(run(problem, {"u0": np.repeat(u0[:, None], 4, axis=1)})[:, -1, 0] - exact).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert errors[-1] < 1e-3
    assert orders[-1] == pytest.approx(2, abs=0.05)


def test_error_of_random_states_is_second_order_in_time() -> None:
    def last(steps: int) -> np.ndarray:
        problem = AllenCahn(shape=(64,), epsilon=0.04, steps=steps, end=4.0)
        return run(problem, problem.draw(0, np.arange(4)))[:, -1]

    exact = last(1024)
    errors = [np.linalg.norm(last(steps) - exact) / np.linalg.norm(exact) for steps in (16, 32, 64)]
    assert errors[0] < 0.01
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.05)


def test_error_is_second_order_in_space() -> None:
    # The centre of a cell is the centre of the middle one of its thirds.
    found = []
    for n in (12, 36, 108):
        angle = 2 * np.pi * (np.arange(n) + 0.5) / n
        problem = AllenCahn(shape=(n, n), epsilon=0.15, steps=3, end=1.5)
        u0 = np.sin(angle)[:, None] + 0.5 * np.cos(2 * angle) * np.cos(angle)[:, None] + 0.2
        found.append(run(problem, {"u0": u0[None]})[0, -1])
    changes = [np.linalg.norm(fine[1::3, 1::3] - coarse) / len(coarse) for coarse, fine in pairwise(found)]
    assert np.log(changes[0] / changes[1]) / np.log(3) == pytest.approx(2, abs=0.1)


def test_interfaces_stay_as_the_profile_says_to_second_order_in_space() -> None:
    # Two of them on a ring, so far apart that they do not feel each other.
    errors = []
    for points in (64, 128, 256):
        problem = AllenCahn(shape=(points,), length=2.0, epsilon=0.05, steps=40, end=40.0, tolerance=1e-11)
        x = problem.template(1)["x"].values
        profile = np.tanh((0.5 - np.abs(x - 1)) / (np.sqrt(2) * 0.05))
        errors.append(np.abs(run(problem, {"u0": profile[None]})[0, -1] - profile).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert errors[-1] < 2e-3
    assert orders == pytest.approx(2, abs=0.1)


def test_a_disc_shrinks_by_its_curvature() -> None:
    problem = AllenCahn(shape=(64, 64), epsilon=0.025, steps=40, end=40.0)
    x = problem.template(1)["x"].values - 0.5
    distance = 0.3 - np.hypot(x[:, None], x)
    u = run(problem, {"u0": np.tanh(distance / (np.sqrt(2) * 0.025))[None]})[0]
    areas = (0.5 * (u + 1)).mean(axis=(1, 2))
    rate = (areas[-1] - areas[7]) / (problem.times[-1] - problem.times[7])
    assert rate == pytest.approx(-2 * np.pi * 0.025**2, rel=0.03)


@pytest.mark.parametrize(("shape", "interval"), [((48,), 0.1), ((48,), 1.9), ((16, 20), 0.5), ((16, 20), 1.9)])
def test_the_energy_never_grows(shape: tuple[int, ...], interval: float) -> None:
    problem = AllenCahn(
        shape=shape,
        steps=10,
        end=10 * interval,
        amplitude=1.5,
        law={"tau": 20.0, "alpha": 1.6},
        epsilon=Range(low=0.01, high=0.1, log=True),
    )
    inputs = problem.draw(0, np.arange(4))
    energies = energy(problem, states(problem, inputs), inputs["epsilon"])
    assert np.all(np.diff(energies, axis=1) < 0)
    # What falls is the square of the step over Δt.
    steps = np.diff(states(problem, inputs), axis=1)
    lost = (steps**2).mean(axis=tuple(range(2, steps.ndim))) / interval
    np.testing.assert_allclose(-np.diff(energies, axis=1), lost, atol=1e-6)


def test_pure_phases_stay() -> None:
    problem = AllenCahn(shape=(4, 6), steps=3, end=3.0)
    u = run(problem, {"u0": np.broadcast_to(np.array([1.0, -1.0])[:, None, None], (2, 4, 6))})
    np.testing.assert_array_equal(u, np.broadcast_to(np.array([1.0, -1.0])[:, None, None, None], u.shape))


def test_the_other_sign_is_the_other_solution() -> None:
    problem = AllenCahn(shape=(12, 12), steps=4, end=2.0, epsilon=0.1)
    inputs = problem.draw(0, np.arange(2))
    np.testing.assert_allclose(run(problem, {"u0": -inputs["u0"]}), -run(problem, inputs), atol=1e-9)


@pytest.mark.parametrize("interval", [0.5, 1.99])
def test_newton_converges_in_a_few_iterations_of_definite_systems(interval: float) -> None:
    problem, posed = AllenCahn(shape=(8, 12), steps=5, end=5 * interval, epsilon=0.1, amplitude=1.0), []

    def solve(systems: Systems) -> np.ndarray:
        posed.append(systems)
        return Direct().solve(systems, rtol=1e-8)[0].x

    u = problem.simulate(problem.draw(0, np.arange(4)), solve)["u"]
    assert np.isfinite(u).all()
    assert 5 < len(posed) <= 8 * 5
    assert all(systems.operators.pattern is posed[0].operators.pattern for systems in posed)
    for systems in posed:
        assert systems.operators.symmetric
        assert systems.operators.definite
        matrix = systems.operators.csr(0).toarray()
        np.testing.assert_array_equal(matrix, matrix.T)
        assert np.linalg.eigvalsh(matrix).min() > 0


def test_a_sample_does_not_depend_on_its_block() -> None:
    problem = AllenCahn(shape=(32,), steps=6, end=6.0, epsilon=Range(low=0.02, high=0.1))
    inputs = problem.draw(0, np.arange(8))
    inputs["u0"][5] *= 4  # needs more iterations than the rest
    whole = run(problem, inputs)
    for i in (0, 5):
        alone = run(problem, {name: values[i : i + 1] for name, values in inputs.items()})
        np.testing.assert_array_equal(alone[0], whole[i])


def test_a_sample_on_which_newton_fails_is_recorded_as_failed(caplog: pytest.LogCaptureFixture) -> None:
    problem = AllenCahn(shape=(16,), steps=3, end=1.5, epsilon=0.1, tolerance=1e-12)

    class Wrong(Direct):
        """Answers the second sample with something else."""

        def solve(self, systems: Systems, *, rtol: float, carry: Any = None) -> Any:
            solutions, carry = super().solve(systems, rtol=rtol, carry=carry)
            solutions.x[1] *= 0.1
            return solutions, carry

    with caplog.at_level(logging.WARNING):
        fields, ledger = simulate(problem, problem.draw(0, np.arange(3)), Wrong(), 1e-8)
    assert ledger["status"] == ["ok", "failed", "ok"]
    assert np.isnan(fields["u"][1]).all()
    assert "the iteration did not reach 1.0e-12 in 1 of 3 samples" in caplog.text


def test_a_width_as_a_range_is_the_number_of_each_sample() -> None:
    ranged = AllenCahn(shape=(8, 12), steps=3, end=1.5, epsilon=Range(low=0.05, high=0.2, log=True))
    inputs = ranged.draw(1, np.arange(3))
    found = run(ranged, inputs)
    for i in range(3):
        number = ranged.model_copy(update={"epsilon": float(inputs["epsilon"][i])})
        np.testing.assert_allclose(run(number, {"u0": inputs["u0"][i : i + 1]})[0], found[i], atol=1e-8)


def test_template_describes_what_is_drawn_and_solved() -> None:
    for shape, space in (((6,), ("x",)), ((4, 6), ("y", "x"))):
        problem = AllenCahn(shape=shape, length=3.0, steps=2, end=2.0)
        template = problem.template(2)
        assert {name: (one.attrs["role"], one.dims) for name, one in template.data_vars.items()} == {
            "u0": ("input", ("sample", *space)),
            "u": ("output", ("sample", "time", *space)),
        }
        np.testing.assert_allclose(template["time"], [1, 2])
        np.testing.assert_allclose(template["x"], 0.25 + 0.5 * np.arange(6))
        assert problem.draw(0, np.arange(2))["u0"].dtype == np.float32
    u0 = AllenCahn(amplitude=0.3).draw(0, np.arange(100))["u0"]
    assert u0.std() == pytest.approx(0.3, rel=0.05)


def test_steps_too_long_for_one_solution_are_refused() -> None:
    with pytest.raises(
        ValidationError, match=r"end/steps is 2\.5, expected less than 2: a longer step may have several"
    ):
        AllenCahn(steps=4, end=10.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shape", (3,)),
        ("shape", (4, 4, 4)),
        ("epsilon", 0.0),
        ("epsilon", {"low": 0.1, "high": 0.05}),
        ("steps", 0),
        ("tolerance", 1.0),
    ],
)
def test_a_bad_field_is_named(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        AllenCahn.model_validate({field: value})
