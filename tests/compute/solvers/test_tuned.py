from __future__ import annotations

import pickle
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.catalogue import AnySolver, answering
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.preconditioners.ssor import SSOR
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.solver import Attempt
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.tuning.policy import TsallisInf, UpperBound
from ritz.compute.solvers.tuning.statistics import Statistics
from ritz.compute.solvers.tuning.tuned import STALE, Played, Tuned

OMEGAS = (1.0, 1.3, 1.6, 1.9)
ARMS = tuple(Krylov(method="cg", preconditioner=SSOR(omega=omega)) for omega in OMEGAS)
MIXED = (*ARMS[:2], Multigrid(), Recycled(restart=20, recycle=8), Direct(library="superlu"))
POLICIES = (UpperBound(), UpperBound(context=True), TsallisInf())
ANY: TypeAdapter[Any] = TypeAdapter(AnySolver)


@pytest.fixture(scope="module")
def systems():
    a = np.exp(np.random.default_rng(0).standard_normal((48, 20, 20)))
    return Systems(diffusion(a), np.ones(a.shape))


def solved(solver, systems, carry=None):
    solutions, carry = solver.solve(systems, rtol=1e-9, carry=carry)
    return solutions, carry


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("arms", [ARMS, MIXED], ids=["relaxations", "methods"])
def test_answers_are_good_whatever_arm_gave_them(systems, policy, arms):
    solutions, carry = solved(Tuned(arms=arms, policy=policy), systems)
    assert set(solutions.ledger["status"]) == {"ok"}
    assert max(solutions.ledger["residual"]) <= 1e-9
    exact, _ = solved(Direct(library="superlu"), systems)
    np.testing.assert_allclose(solutions.x, exact.x, rtol=1e-6, atol=1e-9 * abs(exact.x).max())
    # The ledger names what answered, as often as it did.
    counts = carry.own.count
    for kind in {arm.kind for arm in arms}:
        answered = sum(int(count) for count, arm in zip(counts, arms, strict=True) if arm.kind == kind)
        assert solutions.ledger["solver"].count(kind) == answered
    assert counts.sum() == carry.systems == len(systems)


def test_the_work_learnt_from_is_that_of_the_attempts(systems):
    arms = ARMS[:2]
    _, carry = solved(Tuned(arms=arms), systems.take(slice(0, 2)))
    for i, arm in enumerate(arms):
        attempt, _ = arm.attempt(systems, i, rtol=1e-9, carry=None)
        assert carry.own.work[i] == attempt.work


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_a_copy_of_the_carry_goes_on_with_the_same_bits(systems, policy):
    solver = Tuned(arms=MIXED, policy=policy)
    _, carry = solved(solver, systems.take(slice(0, 20)))
    rest = systems.take(slice(20, 40))
    one, _ = solved(solver, rest, carry)
    other, _ = solved(pickle.loads(pickle.dumps(solver)), rest, pickle.loads(pickle.dumps(carry)))
    assert np.array_equal(one.x, other.x)


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_a_shard_that_begins_with_the_sums_does_what_the_sequence_would_have_done(systems, policy):
    solver = Tuned(arms=ARMS, policy=policy)
    whole, _ = solved(solver, systems)
    first, carry = solved(solver, systems.take(slice(0, 30)))
    informed = pickle.loads(pickle.dumps(solver.informed(solver.summary(carry), 0)))
    second, rest = solved(informed, systems.take(slice(30, 48)))
    assert np.array_equal(whole.x, np.concatenate([first.x, second.x]))
    # What it hands on is its own alone.
    assert informed.summary(rest)["count"].sum() == 18
    assert solver.informed({}, 0).summary(None)["count"].sum() == 0
    assert informed.model_dump() == solver.model_dump()


def test_an_arm_that_misses_is_charged_with_elimination_and_hardly_played_again(systems):
    hopeless = Krylov(method="cg", preconditioner="none", maxiter=1)
    solver = Tuned(arms=(hopeless, ARMS[1]))
    solutions, carry = solved(solver, systems)
    assert set(solutions.ledger["status"]) == {"ok"}
    assert carry.own.count[0] <= 3
    assert solutions.ledger["solver"].count("direct") == carry.own.count[0]
    direct, _ = Direct().attempt(systems, 0, rtol=1e-9, carry=None)
    assert carry.own.work[0] / carry.own.count[0] > direct.work > carry.own.work[1] / carry.own.count[1]


def test_a_system_that_is_not_finite_teaches_nothing(systems):
    rhs = systems.rhs[:4].copy()
    rhs[1, 0, 0] = np.nan
    solutions, carry = solved(Tuned(arms=ARMS), Systems(systems.operators.take(slice(0, 4)), rhs))
    assert solutions.ledger["reason"] == ["", "not_finite", "", ""]
    assert carry.own.count.sum() == 3


def test_the_carry_of_an_arm_is_dropped_when_others_have_answered_for_long():
    carried = object()
    seen = Statistics.empty(2, 1)
    for _ in range(30):
        seen = seen.played(0, np.ones(1), 1.0, 1.0)
    learning = Played(seen, {0: (carried, 30 - STALE), 1: (carried, 29 - STALE)})
    assert (learning.carry(0), learning.carry(1), learning.carry(2)) == (carried, None, None)


def test_each_arm_goes_on_from_its_own_carry(systems):
    """Alternately played, two recycling arms do what each would have done with its systems alone."""
    arms = (Recycled(restart=20, recycle=8, guard=False), Recycled(restart=20, recycle=8, guard=False, maxiter=150))
    solver, carry, picked, found = Tuned(arms=arms, policy=UpperBound(optimism=10)), None, [], []
    for i in range(8):
        before = np.zeros(2) if carry is None else carry.own.count
        one, carry = solved(solver, systems.take(slice(i, i + 1)), carry)
        picked.append(int(np.argmax(carry.own.count - before)))
        found.append(one.x)
    assert min(picked.count(0), picked.count(1)) >= 2
    for number, arm in enumerate(arms):
        alone = None
        for i in (i for i in range(8) if picked[i] == number):
            one, alone = solved(arm, systems.take(slice(i, i + 1)), alone)
            assert np.array_equal(one.x, found[i])


def test_the_record_has_costs_the_best_arm_and_the_regret(systems):
    solver = Tuned(arms=ARMS)
    _, carry = solved(solver, systems)
    found = solver.tuning(solver.summary(carry))
    assert found is not None
    assert solver.tuning(solver.summary(None)) is None
    assert (found.systems, found.policy["kind"]) == (48, "upper_bound")
    assert [arm.solver["preconditioner"] for arm in found.arms][1] == {"kind": "ssor", "omega": 1.3}
    assert sum(arm.systems for arm in found.arms) == 48
    spent = sum(arm.systems * arm.work for arm in found.arms if arm.work is not None)
    assert found.work == pytest.approx(spent / 48)
    costs = [arm.everywhere for arm in found.arms if arm.everywhere is not None]
    assert len(costs) == 4
    assert found.best == int(np.argmin(costs))
    assert found.regret == pytest.approx(found.work / min(costs) - 1)
    assert 0 <= found.regret < 0.2
    assert type(found).model_validate(found.document()) == found


def test_an_arm_that_never_played_has_no_cost(systems):
    solver = Tuned(arms=ARMS)
    _, carry = solved(solver, systems.take(slice(0, 2)))
    found = solver.tuning(solver.summary(carry))
    assert found is not None
    assert [arm.systems for arm in found.arms] == [1, 1, 0, 0]
    assert [(arm.work, arm.everywhere) for arm in found.arms[2:]] == [(None, None)] * 2


def test_it_is_a_solver_of_a_recipe():
    written = {"kind": "tuned", "arms": ["multigrid", {"kind": "multigrid", "sweeps": 3}], "policy": "tsallis_inf"}
    solver = ANY.validate_python(written)
    assert solver == Tuned(arms=(Multigrid(), Multigrid(sweeps=3)), policy=TsallisInf())
    assert ANY.validate_python(ANY.dump_python(solver, mode="json")) == solver
    assert answering(solver) == answering(Auto())
    assert solver.expected(Systems(diffusion(np.ones((1, 8, 8))), np.ones((1, 8, 8)))) > 0


class Uncounted(Sequential):
    kind: Literal["uncounted"] = "uncounted"

    def attempt(self, systems, i, *, rtol, carry):  # noqa: ARG002
        return Attempt(np.zeros(systems.operators.pattern.size), 1, 1), carry


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"kind": "tuned"}, "arms"),
        ({"kind": "tuned", "arms": []}, "arms has 0 of them, expected at least 2"),
        ({"kind": "tuned", "arms": ["multigrid"]}, "arms has 1 of them, expected at least 2"),
        ({"kind": "tuned", "arms": ["multigrid", "multigrid"]}, r"arms.1 is the same as arms.0, expected different"),
        ({"kind": "tuned", "arms": ["multigrid", "auto"]}, "'auto'.* does not match"),
        ({"kind": "tuned", "arms": ["multigrid", Auto()]}, "arms.1 is 'auto', expected a solver that answers"),
        ({"kind": "tuned", "arms": ["multigrid", "direct"], "policy": "greedy"}, "'greedy'.* does not match"),
        (
            {
                "kind": "tuned",
                "arms": ["multigrid", {"kind": "krylov", "preconditioner": {"kind": "ssor", "omega": 2}}],
            },
            r"preconditioner.ssor.omega\n.*less than 2",
        ),
    ],
)
def test_bad_arms_are_refused(written, message):
    with pytest.raises(ValidationError, match=message):
        ANY.validate_python(written)


def test_a_choice_does_not_try_one_that_tunes_itself():
    with pytest.raises(ValidationError, match="candidates holds tuned, expected solvers that solve by themselves"):
        Auto(candidates=(Tuned(arms=ARMS), Direct()))


def test_an_arm_that_cannot_solve_the_systems_is_named():
    systems = Systems(Stencil(np.array([[[3.0, 3.0], [0, -2], [-0.5, 0]]])), np.ones((1, 2)))
    solver = Tuned(arms=(Direct(library="superlu"), ARMS[0]))
    with pytest.raises(ValueError, match=r"arms.1 is 'krylov': method 'cg' needs real symmetric positive definite"):
        solver.solve(systems, rtol=1e-8)


def test_an_arm_that_does_not_count_is_named(systems):
    solver = Tuned(arms=(Uncounted(), ARMS[0]))
    with pytest.raises(ValueError, match=r"arms.0 is 'uncounted', which does not count its work; expected"):
        solver.solve(systems, rtol=1e-8)
