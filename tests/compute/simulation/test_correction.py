"""One step of a problem's own iteration, begun at given fields."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from ritz.compute.fields.arrays import double
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.correction import correct
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from tests.compute.problems.families import CORRECTABLE, SMALL, rough
from tests.compute.problems.test_linearised import Pair, dense

IDS = np.arange(3)
NONLINEAR = ("elliptic", "burgers", "allen_cahn", "variational")


def solved(problem: Problem) -> tuple[Arrays, Arrays]:
    inputs = problem.draw(0, IDS)
    fields, ledger = simulate(problem, inputs, Direct(), 1e-11)
    assert set(ledger["status"]) == {"ok"}
    return inputs, fields


def error(fields: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the relative errors of all outputs together, ``(n,)``."""
    sums = [np.zeros((2, len(IDS)))]
    for name, values in truth.items():
        rows = [
            np.linalg.norm((one - less).reshape(len(IDS), -1), axis=1)
            for one, less in ((fields[name], values), (values, np.zeros_like(values)))
        ]
        sums.append(np.square(rows))
    left, whole = np.sqrt(np.sum(sums, axis=0))
    found: np.ndarray = left / whole
    return found


def disturbed(problem: Problem, truth: Arrays, share: float) -> Arrays:
    """Return fields with errors of about a share of them, in float32 as a surrogate gives them."""
    noise = rough(problem, len(IDS))
    sizes = {name: np.sqrt(np.mean(values**2)) / np.sqrt(np.mean(noise[name] ** 2)) for name, values in truth.items()}
    return {name: (values + share * sizes[name] * noise[name]).astype(np.float32) for name, values in truth.items()}


@pytest.mark.parametrize("name", [name for name in CORRECTABLE if not name.startswith(NONLINEAR)])
def test_fields_of_linear_equations_are_solved_wherever_they_begin(name: str) -> None:
    problem = SMALL[name]
    inputs, truth = solved(problem)
    for begun in (disturbed(problem, truth, 0.1), {key: np.zeros_like(values) for key, values in truth.items()}):
        fields, ledger = correct(problem, inputs, begun, Direct(), 1e-8)
        assert set(ledger["status"]) == {"ok"}
        assert error(fields, truth).max() < 1e-7


@pytest.mark.parametrize("name", [name for name in CORRECTABLE if name.startswith(NONLINEAR)])
def test_errors_of_nonlinear_equations_are_squared(name: str) -> None:
    problem = SMALL[name]
    inputs, truth = solved(problem)
    left = []
    for share in (0.1, 0.01):
        fields, _ = correct(problem, inputs, disturbed(problem, truth, share), Direct(), 1e-10)
        left.append(error(fields, truth).max())
    assert left[0] < 0.02
    assert left[1] < 0.03 * left[0]
    twice, _ = correct(problem, inputs, fields, Direct(), 1e-10)
    assert error(twice, truth).max() < 1e-7


@pytest.mark.parametrize("name", CORRECTABLE)
def test_a_solution_stays_what_it_is(name: str) -> None:
    problem = SMALL[name]
    inputs, truth = solved(problem)
    fields, _ = correct(problem, inputs, truth, Direct(), 1e-3)
    assert error(fields, truth).max() < 1e-8


def test_a_tolerance_is_relative_to_what_is_to_be_corrected() -> None:
    problem = SMALL["darcy"]
    inputs, truth = solved(problem)
    before = disturbed(problem, truth, 1e-3)
    after, ledger = correct(problem, inputs, before, Multigrid(), 0.3)
    assert error(after, truth).max() < 0.3 * error(before, truth).max()
    assert min(ledger["iterations"]) >= 1, "none is good as it is, though the residual is far below rtol"


def test_a_sample_that_is_not_finite_costs_no_other() -> None:
    problem = SMALL["heat"]
    inputs, truth = solved(problem)
    begun = disturbed(problem, truth, 0.1)
    begun["u"][1, 2, 0, 0] = np.nan
    fields, ledger = correct(problem, inputs, begun, Direct(), 1e-8)
    assert ledger["status"] == ["ok", "failed", "ok"]
    assert np.isnan(fields["u"][1]).all()
    assert np.isfinite(fields["u"][[0, 2]]).all()


def test_the_march_starts_each_step_from_the_corrected_state() -> None:
    """An error of the first state alone is gone at all times: nothing is taken over from the prediction."""
    problem = SMALL["heat"]
    assert isinstance(problem, Evolution)
    inputs, truth = solved(problem)
    begun = {"u": truth["u"].copy()}
    begun["u"][:, 0] += 1
    fields, _ = correct(problem, inputs, begun, Direct(), 1e-10)
    assert error(fields, truth).max() < 1e-9


def test_two_outputs_are_corrected_together() -> None:
    problem = Pair()
    inputs, begun = problem.draw(0, IDS[:1]), rough(problem, 1)
    fields, _ = correct(problem, inputs, begun, Direct(), 1e-8)
    left = problem.equations({name: double(values) for name, values in inputs.items()}, begun)
    step = np.linalg.solve(dense(problem, inputs, begun), np.concatenate([left[name].ravel() for name in begun]))
    found = np.concatenate([(begun[name] - fields[name]).ravel() for name in begun])
    assert found == pytest.approx(step, rel=1e-5, abs=1e-6 * np.abs(step).max())


def test_a_problem_without_derivatives_is_refused_with_the_reason() -> None:
    problem = Pair(reach=2)
    inputs = problem.draw(0, IDS)
    assert "beyond the nearest neighbours" in problem.uncorrectable()
    with pytest.raises(ValueError, match=r"problem 'pair' has no correction of its fields: .* beyond the nearest"):
        correct(problem, inputs, rough(problem, len(IDS)), Direct(), 1e-8)


def test_the_step_of_an_evolution_is_the_march() -> None:
    with pytest.raises(TypeError, match="corrected is final"):
        type("Own", (Heat,), {"corrected": Problem.corrected})


def test_other_than_a_system_per_sample_is_refused() -> None:
    class Halved(Darcy):
        def corrected(self, inputs, fields, solve):
            return super().corrected({"a": inputs["a"][:1]}, {"u": fields["u"][:1]}, solve)

    problem = Halved(shape=(12, 16))
    inputs = problem.draw(0, IDS)
    with pytest.raises(ValueError, match="posed 1 systems for 3 samples to correct"):
        correct(problem, inputs, rough(problem, len(IDS)), Direct(), 1e-8)
