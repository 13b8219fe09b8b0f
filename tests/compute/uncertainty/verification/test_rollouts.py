"""Steps of a surrogate that are checked by the equations, with a surrogate that is the solver plus a known error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from ritz.compute.problems.evolution import Evolution, State
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.problem import Arrays
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.systems import Systems
from ritz.compute.uncertainty.verification.fields import CORRECTED, FAILED, PREDICTED, SOLVED
from ritz.compute.uncertainty.verification.rollouts import roll_out

PROBLEMS = [Burgers(points=48, steps=6, end=0.2), Heat(shape=(12, 12), steps=5)]

problems = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.kind)


def solve(systems: Systems) -> np.ndarray:
    return Direct().solve(systems, rtol=1e-10)[0].x


class Perturbed:
    """The solver, whose every step is wrong by a wave of a given relative size, one per step."""

    def __init__(self, problem: Evolution, errors: Any) -> None:
        self.problem, self.errors, self.step = problem, np.broadcast_to(errors, len(problem.times)), 0
        self.seen: list[Arrays] = []

    def advance(self, inputs: Mapping[str, np.ndarray], state: Arrays, length: float) -> Arrays:
        assert length == pytest.approx(np.diff(self.problem.times, prepend=0)[self.step])
        after = self.problem.step(
            State(self.step, {n: v.astype(float) for n, v in state.items()}), inputs, solve
        ).fields
        wave = np.sin(np.arange(after["u"].shape[-1]))
        size = np.sqrt((after["u"] ** 2).mean() / (wave**2).mean())
        self.step += 1
        self.seen.append({"u": after["u"] + self.errors[self.step - 1] * size * wave})
        return self.seen[-1]


def rolled(problem: Evolution, errors: Any, tolerance: float, n: int = 3) -> tuple[Any, Perturbed, Arrays, Arrays]:
    inputs = problem.draw(0, np.arange(n))
    model: Any = Perturbed(problem, errors)
    truth, _ = simulate(problem, inputs, Direct(), 1e-10)
    return roll_out(problem, model, inputs, tolerance), model, inputs, truth


@problems
def test_the_error_of_every_step_is_estimated_within_a_factor_of_two(problem: Evolution) -> None:
    found, model, inputs, _ = rolled(problem, 0.01, tolerance=1.0)
    assert np.all(found.actions == PREDICTED)
    before = problem.start(inputs).fields
    for step, guess in enumerate(model.seen):
        exact = problem.step(State(step, before), inputs, solve).fields["u"].reshape(len(found.actions), -1)
        wrong = np.linalg.norm(guess["u"].reshape(exact.shape) - exact, axis=1) / np.linalg.norm(exact, axis=1)
        assert np.all((found.estimate[:, step] > wrong / 2) & (found.estimate[:, step] < 2 * wrong))
        before = {"u": found.fields["u"][:, step]}


@problems
def test_a_step_within_the_tolerance_is_taken_as_it_is_and_another_is_corrected(problem: Evolution) -> None:
    errors = np.where(np.arange(len(problem.times)) % 2, 0.05, 1e-4)
    found, model, _, truth = rolled(problem, errors, tolerance=0.01)
    for step, error in enumerate(errors):
        if error < 0.01:
            assert np.all(found.actions[:, step] == PREDICTED)
            np.testing.assert_allclose(found.fields["u"][:, step], model.seen[step]["u"], rtol=0, atol=1e-12)
        else:
            assert np.all(found.actions[:, step] == CORRECTED)
    assert np.all(found.left <= 0.01)
    assert np.abs(found.fields["u"] - truth["u"]).max() < 0.01 * np.abs(truth["u"]).max()
    assert found.share(PREDICTED) == pytest.approx((errors < 0.01).mean())


def test_a_step_that_steps_of_newtons_method_do_not_mend_is_solved() -> None:
    problem = PROBLEMS[0]
    found, _, _, truth = rolled(problem, 50.0, tolerance=1e-6)
    assert np.all(found.actions == SOLVED)
    assert np.all(found.left == 0)
    np.testing.assert_allclose(found.fields["u"], truth["u"], rtol=0, atol=1e-7)


def test_a_sample_that_cannot_be_solved_is_nan_from_there_on_and_the_others_go_on() -> None:
    problem = PROBLEMS[1]
    inputs = problem.draw(0, np.arange(3))

    class Lost(Perturbed):
        def advance(self, inputs: Mapping[str, np.ndarray], state: Arrays, length: float) -> Arrays:
            found = super().advance(inputs, state, length)
            if self.step == 2:
                found["u"][1] = np.nan
            return found

    class Failing(Direct):
        def solve(self, systems: Systems, **kwargs: Any) -> Any:
            solutions, carry = super().solve(systems, **kwargs)
            solutions.ledger["status"][:] = ["failed"] * len(systems)
            return solutions, carry

    model: Any = Lost(problem, 1e-4)
    found = roll_out(problem, model, inputs, 0.01, Failing())
    assert found.actions[1].tolist() == [PREDICTED, *[FAILED] * (len(problem.times) - 1)]
    assert np.isnan(found.fields["u"][1, 1:]).all()
    assert np.all(found.actions[[0, 2]] == PREDICTED)
    assert np.isfinite(found.fields["u"][[0, 2]]).all()


def test_explicit_steps_have_no_cheaper_check_than_themselves() -> None:
    problem = KuramotoSivashinsky(points=16, steps=4, store_every=2, end=1.0)
    model: Any = Perturbed(problem, 0.0)
    with pytest.raises(ValueError, match="its steps are explicit, so one step of its iteration is the solution itself"):
        roll_out(problem, model, problem.draw(0, np.arange(2)), 0.1)
