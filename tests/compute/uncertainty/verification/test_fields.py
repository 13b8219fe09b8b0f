"""Predictions that are kept, corrected or solved, by their error as the equations tell it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from ritz.compute.problems.problem import Arrays, Problem, Solve
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.uncertainty.spread.defect import step
from ritz.compute.uncertainty.verification import fields as verification
from ritz.compute.uncertainty.verification.fields import CORRECTED, FAILED, PREDICTED, SOLVED, Verified, verify
from tests.compute.problems.families import SMALL
from tests.compute.uncertainty.test_defect import FAMILIES, predicted, relative

Timed = Callable[[float, float], None]


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Timed:
    """Tell how long a step takes and how long a solve."""

    def tell(step: float, solve: float) -> None:
        left = [step, solve]
        monkeypatch.setattr(verification, "_seconds", lambda _: left.pop(0))

    return tell


def _truth(problem: Problem, inputs: Mapping[str, np.ndarray]) -> Arrays:
    return simulate(problem, inputs, Direct(), 1e-12)[0]


def _actions(found: Verified) -> set[int]:
    return set(found.actions.tolist())


@pytest.mark.parametrize("name", FAMILIES)
def test_every_field_is_within_the_tolerance_and_says_what_it_is(name: str, timed: Timed) -> None:
    problem = SMALL[name]
    given = predicted(problem, 16, 0, size=0.05)
    truth = _truth(problem, given.inputs)
    error = relative(given.prediction, truth)
    tolerance = float(np.median(error))
    timed(1.0, 3.0)
    found = verify(problem, given.inputs, given.prediction, tolerance)
    assert not found.all_solved
    kept = found.actions == PREDICTED
    # Estimates of predictions are within a tenth of the error; those near the tolerance may be on either side.
    assert kept[error < 0.9 * tolerance].all()
    assert not kept[error > 1.1 * tolerance].any()
    np.testing.assert_allclose(found.estimate[kept], error[kept], rtol=0.1)
    for output, values in given.prediction.items():
        np.testing.assert_array_equal(found.fields[output][kept], values[kept].astype(float))
    assert relative(found.fields, truth).max() <= 1.1 * tolerance
    assert found.actions[~kept].tolist() == [CORRECTED] * int((~kept).sum())
    assert (found.estimate <= tolerance).all()


def test_what_the_steps_left_is_not_below_its_estimate_and_is_solved_where_that_is_too_large(timed: Timed) -> None:
    problem = SMALL["elliptic"]
    given = predicted(problem, 24, 0)
    truth = _truth(problem, given.inputs)
    timed(1.0, 3.0)
    found = verify(problem, given.inputs, given.prediction, 1e-4)
    assert _actions(found) == {CORRECTED, SOLVED}
    error = relative(found.fields, truth)
    corrected = found.actions == CORRECTED
    assert (error[corrected] <= found.estimate[corrected]).all()
    assert found.estimate[corrected].max() <= 1e-4
    assert np.isnan(found.estimate[~corrected]).all()
    assert error[~corrected].max() < 1e-7
    timed(1.0, 3.0)
    assert _actions(verify(problem, given.inputs, given.prediction, 1e-13)) == {SOLVED}


@pytest.mark.parametrize("name", FAMILIES)
def test_of_no_family_a_correction_leaves_more_than_is_reckoned(name: str, timed: Timed) -> None:
    problem = SMALL[name]
    given = predicted(problem, 24, 0)
    truth = _truth(problem, given.inputs)
    timed(1.0, 3.0)
    found = verify(problem, given.inputs, given.prediction, 0.01)
    corrected = found.actions == CORRECTED
    assert corrected.sum() > 12
    error = relative(found.fields, truth)
    # The fields of the truth are known to a residual of 1e-10.
    assert (error[corrected] <= found.estimate[corrected] + 1e-8).all()


def test_a_sample_whose_steps_are_doubtful_is_solved(timed: Timed) -> None:
    problem = SMALL["darcy"]
    given = predicted(problem, 6, 0)
    timed(1.0, 3.0)
    doubtful = np.arange(6) == 2
    found = verify(problem, given.inputs, given.prediction, 0.9, doubtful)
    assert found.actions.tolist() == [PREDICTED, PREDICTED, SOLVED, PREDICTED, PREDICTED, PREDICTED]
    assert (found.count(PREDICTED), found.count(SOLVED)) == (5, 1)


def test_steps_that_do_not_contract_are_not_relied_on(timed: Timed, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = SMALL["darcy"]
    given = predicted(problem, 6, 0)

    def halved(problem: Problem, inputs: Arrays, fields: Arrays, rtol: float) -> tuple[Arrays, tuple[str, ...]]:
        full, names = step(problem, inputs, fields, rtol)
        return {name: (values + fields[name]) / 2 for name, values in full.items()}, names

    monkeypatch.setattr(verification, "step", halved)
    timed(1.0, 3.0)
    found = verify(problem, given.inputs, given.prediction, 1e-3)
    assert _actions(found) == {SOLVED}


@pytest.mark.parametrize(("tolerance", "solve", "all_solved"), [(0.9, 1, True), (0.9, 2, False), (1e-6, 2, True)])
def test_all_are_solved_where_that_is_as_cheap_as_the_steps(
    tolerance: float, solve: float, all_solved: bool, timed: Timed
) -> None:
    """Within the tolerance a sample needs one step, beyond it two."""
    problem = SMALL["darcy"]
    given = predicted(problem, 8, 0)
    timed(1.0, solve)
    assert verify(problem, given.inputs, given.prediction, tolerance).all_solved == all_solved


def test_solved_fields_are_those_of_a_solver_block_by_block(timed: Timed) -> None:
    problem = SMALL["darcy"]
    given = predicted(problem, 70, 0)
    timed(1.0, 1.0)
    found = verify(problem, given.inputs, given.prediction, 0.9)
    assert found.all_solved
    assert _actions(found) == {SOLVED}
    assert found.fields["u"].shape == given.truth["u"].shape
    assert relative(found.fields, _truth(problem, given.inputs)).max() < 1e-7
    assert (found.step, found.solve) == (1.0 / 4, 1.0 / 4)


class _Lost(type(SMALL["darcy"])):  # type: ignore[misc]  # a class that a dictionary holds
    """Darcy flow of which no sample can be solved."""

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        fields: Arrays = super().simulate(inputs, solve)
        return {name: values * np.nan for name, values in fields.items()}


def test_a_sample_without_a_good_solve_is_no_field(timed: Timed) -> None:
    problem = SMALL["darcy"]
    given = predicted(problem, 6, 0)
    timed(1.0, 1.0)
    found = verify(_Lost.model_validate(problem.model_dump()), given.inputs, given.prediction, 0.1)
    assert _actions(found) == {FAILED}
    assert np.isnan(found.fields["u"]).all()
    assert np.isnan(found.estimate).all()
