from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy
from pydantic import ValidationError

from ritz.compute.problems.evolutions.reaction_diffusion import ReactionDiffusion
from ritz.compute.problems.problem import Arrays
from ritz.compute.problems.ranges import Range
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.systems import Systems

SOLVER = Krylov(method="bicgstab", preconditioner="none")


def run(problem: ReactionDiffusion, inputs: Arrays, rtol: float = 1e-10) -> Arrays:
    fields, ledger = simulate(problem, inputs, SOLVER, rtol)
    assert set(ledger["status"]) == {"ok"}
    return fields


def uniform(problem: ReactionDiffusion, u: float, v: float) -> Arrays:
    return {"u0": np.full((1, *problem.shape), u), "v0": np.full((1, *problem.shape), v)}


def test_uniform_states_react_as_the_ordinary_equations_to_second_order() -> None:
    feed, kill, end = 0.04, 0.06, 40.0

    def rates(_: float, y: np.ndarray) -> list[float]:
        u, v = y
        return [-u * v**2 + feed * (1 - u), u * v**2 - (feed + kill) * v]

    exact = scipy.integrate.solve_ivp(rates, (0, end), [0.9, 0.4], rtol=1e-11, atol=1e-13).y[:, -1]
    errors = []
    for steps in (10, 20, 40, 80):
        problem = ReactionDiffusion(shape=(4, 4), steps=steps, end=end, feed=feed, kill=kill)
        found = run(problem, uniform(problem, 0.9, 0.4))
        errors.append(np.hypot(*(found[name][0, -1, 0, 0] - value for name, value in zip("uv", exact, strict=True))))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert errors[-1] < 3e-4
    assert orders[-1] == pytest.approx(2, abs=0.05)


def test_error_of_patches_is_second_order_in_time() -> None:
    def last(steps: int) -> np.ndarray:
        problem = ReactionDiffusion(shape=(16, 16), length=0.25, steps=steps, end=48.0)
        found = run(problem, problem.draw(0, np.arange(2)))
        return np.stack([found[name][:, -1] for name in ("u", "v")])

    exact = last(192)
    errors = [np.linalg.norm(last(steps) - exact) / np.linalg.norm(exact) for steps in (12, 24, 48)]
    assert errors[0] < 0.01
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.15)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.1)


def test_error_is_second_order_in_space() -> None:
    # The centre of a cell is the centre of the middle one of its thirds.
    states = []
    for n in (12, 36, 108):
        problem = ReactionDiffusion(shape=(n, n), length=0.5, steps=4, end=16.0, diffusion_u=2e-4, diffusion_v=1e-4)
        angle = 2 * np.pi * (np.arange(n) + 0.5) / n
        bump = np.exp(np.sin(angle)[:, None] + np.cos(angle) - 2)
        found = run(problem, {"u0": 1 - 0.5 * bump[None], "v0": 0.25 * bump[None]})
        states.append(np.stack([found[name][0, -1] for name in ("u", "v")]))
    changes = [np.linalg.norm(fine[:, 1::3, 1::3] - coarse) / coarse.shape[1] for coarse, fine in pairwise(states)]
    assert np.log(changes[0] / changes[1]) / np.log(3) == pytest.approx(2, abs=0.1)


def test_without_v_waves_of_u_decay_by_known_factors() -> None:
    n, steps, end = 8, 3, 30.0
    problem = ReactionDiffusion(shape=(n, 2 * n), steps=steps, end=end, diffusion_u=1e-3, feed=0.05)
    wave = np.cos(2 * np.pi * np.arange(n) / n)[:, None] * np.sin(4 * np.pi * (np.arange(2 * n) + 0.5) / (2 * n))
    found = run(problem, {"u0": 1 - 0.5 * wave[None], "v0": np.zeros((1, n, 2 * n))})
    eigenvalue = 4 * n**2 * np.sin(np.pi / n) ** 2 + 16 * n**2 * np.sin(np.pi / n) ** 2
    z = 0.5 * end / steps * (1e-3 * eigenvalue + 0.05)
    factors = ((1 - z) / (1 + z)) ** np.arange(1, steps + 1)
    np.testing.assert_allclose(found["u"][0], 1 - 0.5 * factors[:, None, None] * wave, atol=1e-9)
    assert not found["v"].any()


def test_states_that_do_not_react_stay() -> None:
    problem = ReactionDiffusion(shape=(4, 6), steps=5, end=50.0, feed=0.04, kill=0.05)
    # The other uniform steady state: u v = F + k and F (1 − u) = (F + k) v.
    v = 0.04 / 0.18 * (1 + np.sqrt(1 - 4 * 0.09**2 / 0.04))
    for u0, v0 in ((1.0, 0.0), (0.09 / v, v)):
        found = run(problem, uniform(problem, u0, v0))
        np.testing.assert_allclose(found["u"], u0, atol=1e-13)
        np.testing.assert_allclose(found["v"], v0, atol=1e-13)


def test_substance_is_fed_and_killed_alone() -> None:
    problem = ReactionDiffusion(shape=(12, 12), length=0.25, steps=8, end=32.0, feed=0.03, kill=0.07)
    inputs = problem.draw(3, np.arange(4))
    found = run(problem, inputs, 1e-12)
    u, v = (np.concatenate([inputs[f"{name}0"][:, None], found[name]], axis=1) for name in ("u", "v"))
    of_u, of_v = (0.5 * (values[:, 1:] + values[:, :-1]).mean(axis=(2, 3)) for values in (u, v))
    change = np.diff((u + v).mean(axis=(2, 3)), axis=1)
    np.testing.assert_allclose(change, 4.0 * (0.03 * (1 - of_u) - 0.1 * of_v), atol=1e-12)


def test_every_step_poses_one_system_near_the_one_before() -> None:
    problem, posed, answers = ReactionDiffusion(shape=(12, 16), length=0.25, steps=6, end=24.0), [], []

    def solve(systems: Systems) -> np.ndarray:
        posed.append(systems)
        answers.append(Direct().solve(systems, rtol=1e-10)[0].x)
        return answers[-1]

    problem.simulate(problem.draw(0, np.arange(3)), solve)
    assert len(posed) == 6
    assert all(len(systems) == 3 for systems in posed)
    assert all(systems.operators.pattern is posed[0].operators.pattern for systems in posed)
    assert posed[0].guess is None
    for systems, x in list(zip(posed, answers, strict=True))[2:]:
        assert systems.guess is not None
        assert np.linalg.norm(systems.guess - x) < 0.7 * np.linalg.norm(x)
    for systems in posed:
        assert systems.operators.definite
        matrix = systems.operators.csr(0).toarray()
        assert np.linalg.eigvalsh(matrix + matrix.T).min() > 0


def test_far_too_long_steps_are_not_called_definite() -> None:
    problem = ReactionDiffusion(shape=(4, 4), steps=1, end=100.0)
    state = {name: np.full((1, 4, 4), 0.5) for name in ("u", "v")}
    operators = problem.step_linearised({}, state, state, 0)
    matrix = operators.csr(0).toarray()
    assert not operators.definite
    assert np.linalg.eigvalsh(matrix + matrix.T).min() < 0


def test_a_correction_of_any_fields_is_the_solution() -> None:
    problem = ReactionDiffusion(shape=(8, 12), length=0.2, steps=4, end=16.0, feed=Range(low=0.03, high=0.06))
    inputs = problem.draw(0, np.arange(2))
    exact = run(problem, inputs, 1e-12)
    rng = np.random.default_rng(0)
    given = {name: values + 0.1 * rng.standard_normal(values.shape) for name, values in exact.items()}
    found = problem.corrected(inputs, given, lambda systems: Direct().solve(systems, rtol=1e-12)[0].x)
    for name, values in exact.items():
        np.testing.assert_allclose(found[name], values, atol=1e-9)


def test_a_parameter_as_a_range_is_the_number_of_each_sample() -> None:
    ranged = ReactionDiffusion(
        shape=(8, 8), length=0.2, steps=3, end=12.0, feed=Range(low=0.02, high=0.06), kill=Range(low=0.05, high=0.07)
    )
    inputs = ranged.draw(1, np.arange(3))
    assert ((inputs["feed"] >= 0.02) & (inputs["feed"] <= 0.06)).all()
    found = run(ranged, inputs)
    for i in range(3):
        numbers = {name: float(inputs[name][i]) for name in ("feed", "kill")}
        alone = run(ranged.model_copy(update=numbers), {name: inputs[name][i : i + 1] for name in ("u0", "v0")})
        for name, values in alone.items():
            np.testing.assert_allclose(found[name][i], values[0], atol=1e-9)


def test_patches_have_their_share_and_depth() -> None:
    problem = ReactionDiffusion(shape=(32, 32), share=0.3)
    drawn = problem.draw(0, np.arange(200))
    assert {name: values.dtype for name, values in drawn.items()} == {"u0": np.float32, "v0": np.float32}
    np.testing.assert_allclose(drawn["u0"], 1 - 2 * drawn["v0"], atol=1e-6)
    assert drawn["v0"].min() >= 0
    assert drawn["v0"].max() == pytest.approx(0.25, rel=0.01)
    assert (drawn["v0"] > 0.125).mean() == pytest.approx(0.3, abs=0.03)


def test_template_describes_what_is_drawn_and_solved() -> None:
    problem = ReactionDiffusion(shape=(4, 6), length=2.0, steps=3, end=6.0, kill=Range(low=0.05, high=0.07))
    template = problem.template(2)
    first, later = ("sample", "y", "x"), ("sample", "time", "y", "x")
    assert {name: (variable.attrs["role"], variable.dims) for name, variable in template.data_vars.items()} == {
        "kill": ("input", ("sample",)),
        "u0": ("input", first),
        "v0": ("input", first),
        "u": ("output", later),
        "v": ("output", later),
    }
    np.testing.assert_allclose(template["time"], [2, 4, 6])
    np.testing.assert_allclose(template["y"], [0.25, 0.75, 1.25, 1.75])
    assert template.attrs["symmetries"] == "flips"
    assert ReactionDiffusion().template(1).attrs["symmetries"] == "square"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shape", (2, 8)),
        ("length", 0.0),
        ("diffusion_u", 0.0),
        ("diffusion_v", -1.0),
        ("feed", -0.01),
        ("kill", {"low": 0.1, "high": 2.0}),
        ("steps", 0),
        ("share", 1.0),
    ],
)
def test_a_bad_field_is_named(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        ReactionDiffusion.model_validate({field: value})
