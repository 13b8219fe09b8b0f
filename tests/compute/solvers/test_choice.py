from __future__ import annotations

import json
import time
from typing import Literal

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.choice.panel import panel
from ritz.compute.solvers.choice.record import Choice, PanelRow
from ritz.compute.solvers.factorization.analysis import importable
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.systems import Systems


class Slow(Direct):
    """A direct solver that takes its time."""

    def attempt(self, systems, i, *, rtol, carry):
        start = time.process_time()
        while time.process_time() < start + 0.05:
            pass
        return super().attempt(systems, i, rtol=rtol, carry=carry)


HOPELESS = Recycled(restart=2, recycle=0, maxiter=1, preconditioner="none")


def test_the_fastest_wins_and_the_record_tells_why(few_parameters):
    systems = few_parameters[0]
    auto = Auto(candidates=(Slow(), Direct()), probe=3)
    solver, record = auto.choose(systems, 1e-8)
    assert auto.again(record.chosen) == solver
    assert type(solver) is Direct
    assert Choice.model_validate(json.loads(json.dumps(record.document()))) == record
    assert (record.systems, record.unknowns, record.rtol) == (3, 48 * 48, 1e-8)
    assert record.chosen == record.tried[1].solver
    assert record.chosen["library"] in importable()
    assert record.ratio is not None
    assert record.ratio > 1
    assert [row.missed for row in record.tried] == [0, 0]
    slow, fast = (row.seconds for row in record.tried)
    assert slow > 0.05
    assert record.ratio == pytest.approx(slow / fast)
    assert all((row.max_residual or np.inf) <= 1e-8 for row in record.tried)


def test_a_candidate_that_needs_help_cannot_win(few_parameters):
    solver, record = Auto(candidates=(HOPELESS, Slow()), probe=2).choose(few_parameters[0], 1e-8)
    assert isinstance(solver, Slow)
    assert [row.missed for row in record.tried] == [2, 0]
    assert record.ratio is None


def test_a_dataset_of_an_older_release_is_solved_by_what_that_knew(few_parameters):
    systems = few_parameters[0]
    auto = Auto().among(("direct", "krylov"))
    solver, choice = auto.choose(systems, 1e-8)
    assert solver.kind in ("direct", "krylov")
    reasons = {one.solver["kind"]: one.reason for one in choice.left_out}
    assert reasons["multigrid"] == reasons["transform"] == "the dataset began with a release that did not have it"
    assert {one.solver["kind"] for one in choice.tried} <= {"direct", "krylov"}
    assert Auto().choose(systems, 1e-8)[0].kind == "multigrid", "the one that it was made of chooses among all"


def test_candidates_carry_their_state_through_the_probe(few_parameters):
    recycled = Recycled(restart=20, recycle=8)
    _, record = Auto(candidates=(recycled,), probe=4).choose(few_parameters[1], 1e-8)
    straight, _ = recycled.solve(few_parameters[1].take(slice(4)), rtol=1e-8)
    assert record.tried[0].iterations == np.mean(straight.ledger["iterations"])


def test_when_nobody_can_the_first_is_taken_and_it_is_said(caplog):
    systems = Systems(diffusion(np.ones((2, 20, 20))), np.ones((2, 20, 20)))
    solver, record = Auto(candidates=(HOPELESS,)).choose(systems, 1e-8)
    assert solver == HOPELESS
    assert record.tried[0].missed == 2
    assert "no candidate" in caplog.text


def test_auto_solves_with_its_winner_and_carries_it(few_parameters):
    auto = Auto(candidates=(Recycled(restart=20, recycle=8),), probe=1)
    solutions, carry = auto.solve(few_parameters[1].take(slice(6)), rtol=1e-8)
    more, _ = auto.solve(few_parameters[1].take(slice(6, 12)), rtol=1e-8, carry=carry)
    straight, _ = Recycled(restart=20, recycle=8).solve(few_parameters[1], rtol=1e-8)
    assert np.array_equal(np.concatenate([solutions.x, more.x]), straight.x)
    assert set(solutions.ledger["solver"]) == {"recycled"}


def test_panel_compares_carry_and_order_on_the_same_systems(few_parameters):
    drawn, ordered = few_parameters
    rows = panel(ordered, drawn, 1e-8, recycled=Recycled(restart=20, recycle=8))
    assert [PanelRow.model_validate(json.loads(json.dumps(row.document()))) for row in rows] == list(rows)
    found = {(row.method, row.order): row for row in rows}
    assert len(found) == 6
    assert {method for method, _ in found} == {"recycled, carry", "recycled, no carry", "direct"}
    for order in ("sorted", "unsorted"):
        carry, cold = found["recycled, carry", order], found["recycled, no carry", order]
        assert carry.iterations < 0.8 * cold.iterations
    first, second = (found["recycled, no carry", order].iterations for order in ("sorted", "unsorted"))
    assert first == pytest.approx(second, rel=1e-12)
    assert all((row.max_residual or np.inf) <= 1e-8 and row.seconds > 0 for row in rows)


def test_panel_is_left_out_where_there_is_no_time_for_one_system_in_each_way(few_parameters):
    drawn, ordered = few_parameters
    assert panel(ordered, drawn, 1e-8, limit=1e-3) == ()


def test_bad_choices_are_refused(few_parameters):
    with pytest.raises(ValidationError, match="candidates holds auto"):
        Auto(candidates=(Auto(),))
    with pytest.raises(ValidationError, match="probe"):
        Auto(probe=0)
    with pytest.raises(ValueError, match="systems is empty"):
        Auto().choose(few_parameters[0].take(slice(0)), 1e-8)


def test_a_class_of_ones_own_can_be_a_candidate(few_parameters):
    class Mine(Sequential):
        kind: Literal["mine"] = "mine"

        def attempt(self, systems, i, *, rtol, carry):
            return Direct().attempt(systems, i, rtol=rtol, carry=carry)

    auto = Auto(candidates=(Mine(),), probe=1)
    solver, record = auto.choose(few_parameters[0], 1e-8)
    assert solver == Mine() == auto.again(record.chosen)
