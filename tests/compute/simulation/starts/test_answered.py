"""Samples that are solved to a true residual, wherever they begin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.starts.answered import Answered, Solvers, answered
from ritz.compute.simulation.starts.start import Start
from ritz.compute.solvers.factorization.direct import Direct
from tests.compute.problems.families import CORRECTABLE, SMALL
from tests.compute.simulation.test_correction import disturbed, error, solved

DIRECT = Solvers(Direct(), Direct())
RTOL = 1e-8
NONLINEAR = ("elliptic", "variational", "burgers", "allen_cahn", "reaction")
LINEAR = [name for name in CORRECTABLE if not name.startswith(NONLINEAR)]


def work(problem: Problem, inputs: Arrays, fields: Arrays | None, rtol: float = RTOL, **given: Any) -> Answered:
    found = answered(problem, inputs, None if fields is None else Start(fields, **given), DIRECT, rtol)
    # What is certified is measured by equations that share no code with the solvers.
    residual = problem.residual(inputs, found.fields)
    np.testing.assert_allclose(residual[found.good], np.array(found.ledger["residual"])[found.good])
    assert (residual[found.good] <= rtol).all()
    return found


@pytest.mark.parametrize("name", CORRECTABLE)
def test_all_families_are_solved_from_their_own_start_and_from_fields(name: str) -> None:
    problem = SMALL[name]
    inputs, truth = solved(problem)
    for fields in (None, disturbed(problem, truth, 0.01)):
        found = work(problem, inputs, fields)
        assert found.good.all()
        assert not found.lost.any()
        assert error(found.fields, truth).max() < 1e-5


@pytest.mark.parametrize("name", LINEAR)
def test_linear_equations_take_one_system_a_sample_or_a_step_from_any_fields(name: str) -> None:
    problem = SMALL[name]
    inputs, truth = solved(problem)
    steps = len(problem.times) if isinstance(problem, Evolution) else 1
    for fields in (disturbed(problem, truth, 0.3), disturbed(problem, truth, 0.001)):
        assert work(problem, inputs, fields).systems == 3 * steps


def test_a_solution_in_float64_takes_no_system() -> None:
    problem = SMALL["elliptic"]
    inputs, truth = solved(problem)
    found = work(problem, inputs, truth)
    assert (found.systems, found.ledger["iterations"], found.ledger["seconds"]) == (0, [0] * 3, [0.0] * 3)
    np.testing.assert_array_equal(found.fields["u"], truth["u"])


def test_steps_of_neighbours_begin_at_the_state_that_was_reached() -> None:
    problem = SMALL["heat"]
    assert isinstance(problem, Evolution)
    inputs, truth = solved(problem)
    theirs = {**inputs, "u0": inputs["u0"].astype(np.float64) + 2.0}
    moved = {"u": truth["u"] + 2.0}
    found = work(problem, inputs, moved, first=problem.start(theirs).fields)
    # What they change in each step is what these change: there is nothing to solve.
    assert found.systems == 0
    assert work(problem, inputs, moved).systems > 0


@pytest.mark.parametrize("name", ["elliptic", "burgers", "allen_cahn"])
@pytest.mark.parametrize("value", [np.nan, 1e6])
def test_a_start_that_leads_nowhere_is_lost_and_the_sample_solved_all_the_same(name: str, value: float) -> None:
    problem = SMALL[name]
    inputs, truth = solved(problem)
    fields = {key: values.copy() for key, values in truth.items()}
    for values in fields.values():
        values[1] = value * np.cos(np.arange(values[1].size)).reshape(values[1].shape)
    found = work(problem, inputs, fields)
    assert found.good.all()
    assert not found.lost[[0, 2]].any()
    assert found.lost[1] or np.isfinite(value)
    assert error(found.fields, truth).max() < 1e-5


def test_an_iteration_that_stops_too_early_goes_on() -> None:
    problem = SMALL["elliptic"].model_copy(update={"tolerance": 1e-4})
    inputs, _ = solved(problem)
    found = work(problem, inputs, None, 1e-11)
    assert found.good.all()
    assert max(found.ledger["residual"]) <= 1e-11


def test_a_tolerance_that_cannot_be_met_is_missed_and_the_residual_told() -> None:
    problem = SMALL["darcy"]
    inputs, _ = solved(problem)
    found = work(problem, inputs, None, 1e-17)
    assert not found.good.any()
    assert np.isnan(found.fields["u"]).all()
    assert found.ledger["reason"] == ["not_converged"] * 3
    assert all(1e-17 < residual < 1e-12 for residual in found.ledger["residual"])


def test_explicit_steps_are_measured_and_have_their_own_start_alone() -> None:
    problem = SMALL["advection_diffusion"]
    inputs = problem.draw(0, np.arange(3))
    found = work(problem, inputs, None)
    assert found.good.all()
    with pytest.raises(ValueError, match="no correction of its fields: its steps are explicit"):
        work(problem, inputs, found.fields)
