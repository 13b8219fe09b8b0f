from __future__ import annotations

import logging
import pickle

import numpy as np
import pytest

from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.iterative.guard import Guard
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.iterative.recycler import Recycler
from ritz.compute.solvers.krylov import gcrodr
from ritz.compute.solvers.solver import Solutions
from ritz.compute.solvers.systems import Systems


def follow(guard, carried, systems, cold=100.0, handover=4.0):
    """Phases of a sequence on which a carried system takes so much work and a cold one another amount."""
    phases = []
    for _ in range(systems):
        phases.append(guard.phase)
        keep = guard.count(carried if guard.carries else cold, handover if guard.keeps else 0.0, solved=True)
        # What is carried next has to be there.
        assert keep or not guard.carries
    return phases


def test_a_carry_that_wins_is_held_and_checked_ever_less_often():
    phases = follow(Guard(trial=3, hold=4), carried=50, systems=40)
    expected = ["first"] + ["trial"] * 3 + ["hold"] * 4 + ["check"] + ["hold"] * 8 + ["check"] + ["hold"] * 16
    assert phases[: len(expected)] == expected


def test_a_carry_that_loses_is_dropped_and_tried_again_ever_less_often():
    phases = follow(Guard(trial=3, rest=4), carried=110, systems=60)
    expected = ["first"] + ["trial"] * 3 + ["rest"] * 4 + ["trial"] * 3 + ["rest"] * 8 + ["trial"] * 3 + ["rest"] * 16
    assert phases[: len(expected)] == expected


def test_a_trial_that_is_hopeless_ends_at_once():
    phases = follow(Guard(trial=3, rest=4), carried=130, systems=7)
    assert phases == ["first", "trial", "rest", "rest", "rest", "rest", "trial"]


@pytest.mark.parametrize("ratio", [1.02, 1.18, 1.21, 1.5, 3.0])
def test_the_price_of_a_carry_that_never_pays_is_below_five_percent(ratio):
    guard, work = Guard(), 0.0
    for _ in range(100):
        spent = 100.0 * ratio if guard.carries else 100.0
        work += spent + (4.0 if guard.keeps else 0.0)
        guard.count(spent, 4.0 if guard.keeps else 0.0, solved=True)
    assert work / 100 <= 100 * (1.05 if ratio < 2 else 1.08)


@pytest.mark.parametrize("ratio", [0.5, 0.7])
def test_the_price_of_checking_a_carry_that_pays_is_small(ratio):
    guard, work = Guard(), 0.0
    for _ in range(100):
        spent = 100.0 * ratio if guard.carries else 100.0
        work += spent
        guard.count(spent, 0.0, solved=True)
    assert work / 100 <= 100 * ratio * 1.05


def test_a_sequence_that_changes_is_noticed_both_ways():
    guard = Guard(trial=2, hold=4, rest=4)
    assert follow(guard, carried=50, systems=10)[-1] == "hold"
    assert "rest" in follow(guard, carried=150, systems=16)
    assert follow(guard, carried=50, systems=30)[-1] in ("hold", "check")


def test_a_carried_solve_that_fails_ends_the_carry():
    guard = Guard(trial=2)
    guard.count(100, 4, solved=True)
    assert guard.carries
    assert not guard.count(10, 4, solved=False)
    assert guard.phase == "rest"
    cold = Guard()
    cold.count(10, 4, solved=False)
    for _ in range(3):
        assert cold.count(1e6, 4, solved=True)
    assert cold.phase == "hold"


def test_a_decision_is_said(caplog):
    with caplog.at_level(logging.INFO):
        follow(Guard(), carried=150, systems=3)
    assert "dropping the carry for 16 systems: it takes 1.54 of a cold solve" in caplog.text


def sequence(step, count, size=40, seed=0):
    """Diffusion with a few parameters that change by ``step`` from system to system."""
    rng = np.random.default_rng(seed)
    x = (np.arange(size) + 0.5) / size
    modes = np.array([np.cos(np.pi * k * x)[:, None] * np.cos(np.pi * m * x) for k, m in ((0, 1), (1, 0), (1, 1))])
    walk = np.cumsum(step * rng.standard_normal((count, 3)), axis=0)
    return Systems(diffusion(np.exp(np.einsum("nk,kyx->nyx", walk, modes))), rng.standard_normal((count, size, size)))


def test_the_guard_keeps_what_pays():
    systems = sequence(0.02, 40)
    solver = Recycled(restart=20, recycle=8, preconditioner="none")
    solutions, carry = solver.solve(systems, rtol=1e-8)
    assert solutions.ledger["solver"] == ["recycled"] * 40
    assert carry.guard.phase == "hold"
    assert carry.basis is not None
    its = solutions.ledger["iterations"]
    # Numbers 0 and 20 are solved cold.
    assert min(its[0], its[20]) > 1.3 * np.mean(its[1:20])


def test_the_guard_drops_what_does_not_pay():
    # A system that takes a handful of iterations cannot earn back the products that fit a basis to it.
    operators = diffusion(np.exp(np.random.default_rng(0).standard_normal((40, 40, 40)) * 0.1))
    operators.coefficients[:, 0] += 2e4
    systems = Systems(operators, np.ones((40, 40, 40)))
    solver = Recycled(restart=30, recycle=10)
    guarded, carry = solver.solve(systems, rtol=1e-8)
    plain, _ = solver.model_copy(update={"guard": False}).solve(systems, rtol=1e-8)
    assert carry.guard.phase == "rest"
    assert carry.basis is None
    assert sum(guarded.ledger["matvecs"]) < 0.6 * sum(plain.ledger["matvecs"])


def test_a_guarded_sequence_goes_on_from_a_copy_with_the_same_bits():
    systems = sequence(0.3, 30)
    solver = Recycled(restart=14, recycle=6, preconditioner="ssor")
    whole, _ = solver.solve(systems, rtol=1e-8)
    parts: list[Solutions] = []
    carry: Recycler | None = None
    for start in (0, 2, 5, 21):
        stop = {0: 2, 2: 5, 5: 21, 21: 30}[start]
        frozen = pickle.dumps(carry)
        part, left = solver.solve(systems.take(slice(start, stop)), rtol=1e-8, carry=carry)
        # What was given is not changed.
        assert pickle.dumps(carry) == frozen
        parts.append(part)
        carry = pickle.loads(pickle.dumps(left))
    assert np.array_equal(np.concatenate([part.x for part in parts]), whole.x)
    assert [count for part in parts for count in part.ledger["matvecs"]] == whole.ledger["matvecs"]


def test_a_function_with_a_guarded_recycler_says_what_it_did():
    systems = sequence(0.02, 8)
    recycler = Recycler(guard=Guard(trial=2, hold=2))
    phases, carried, work = [], [], []
    for i in range(8):
        assert recycler.guard is not None
        phases.append(recycler.guard.phase)
        _, info = gcrodr(
            systems.operators.csr(i), systems.rhs[i].ravel(), rtol=1e-8, restart=20, recycle=8, recycler=recycler
        )
        assert info == 0
        carried.append(recycler.carried)
        work.append(recycler.work)
    assert phases == ["first", "trial", "trial", "hold", "hold", "check", "hold", "hold"]
    assert carried == [phase in ("trial", "hold") for phase in phases]
    assert all(one > 40 * 20 for one in work)


def test_systems_that_take_no_work_do_not_count():
    recycler = Recycler(guard=Guard())
    A = np.diag(np.arange(1.0, 30))
    gcrodr(A, np.zeros(29), recycler=recycler)
    gcrodr(A, A @ np.ones(29), x0=np.ones(29), recycler=recycler)
    assert recycler.guard == Guard()
    assert (recycler.iterations, recycler.work, recycler.carried) == (0, 0.0, False)
