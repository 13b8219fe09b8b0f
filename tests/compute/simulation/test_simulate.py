from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from ritz.compute.problems.darcy import Darcy
from ritz.compute.simulation.posing import first_systems
from ritz.compute.simulation.simulate import ITSELF, combine, simulate
from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.solver import Ledger
from ritz.compute.solvers.systems import Systems
from tests.explicit import Explicit
from tests.tasks.own_problem import Scaling


class Heat(Darcy):
    """Implicit Euler steps of heat conduction: several batches of systems a sample."""

    kind: Literal["heat"] = "heat"  # type: ignore[assignment]
    steps: int = 3

    def simulate(self, inputs, solve):
        c = diffusion(inputs["a"]).coefficients.copy()
        c[:, 0] += 100.0
        u = np.zeros(inputs["a"].shape)
        for _ in range(self.steps):
            u = solve(Systems(Stencil(c, symmetric=True), 100.0 * u + 1))
        return {"u": u}


def test_a_shard_is_one_sequence():
    problem = Darcy(shape=(24, 24))
    inputs = problem.draw(0, np.arange(5))
    solver = Recycled(restart=12, recycle=4)
    fields, ledger = simulate(problem, inputs, solver, 1e-8)
    straight, _ = solver.solve(Systems(diffusion(inputs["a"]), np.ones((5, 24, 24))), rtol=1e-8)
    assert np.array_equal(fields["u"], straight.x)
    assert ledger["iterations"] == straight.ledger["iterations"]
    assert fields["u"].dtype == np.float64


def test_batches_of_systems_are_added_up_a_sample():
    problem = Heat(shape=(16, 16))
    inputs = problem.draw(0, np.arange(3))
    ledgers = []

    class Spy(Direct):
        def solve(self, systems, *, rtol, carry=None):
            solutions, carry = super().solve(systems, rtol=rtol, carry=carry)
            ledgers.append(solutions.ledger)
            return solutions, carry

    fields, ledger = simulate(problem, inputs, Spy(), 1e-8)
    assert len(ledgers) == 3
    for i in range(3):
        assert ledger["matvecs"][i] == sum(part["matvecs"][i] for part in ledgers)
        assert ledger["seconds"][i] == pytest.approx(sum(part["seconds"][i] for part in ledgers))
        assert ledger["residual"][i] == max(part["residual"][i] for part in ledgers)
    assert ledger["status"] == ["ok"] * 3
    assert np.isfinite(fields["u"]).all()


def test_the_carry_runs_through_all_batches():
    problem = Heat(shape=(32, 32), steps=4)
    inputs = problem.draw(0, np.arange(2))
    carried = simulate(problem, inputs, Recycled(restart=12, recycle=6, preconditioner="jacobi"), 1e-8)[1]
    cold = simulate(problem, inputs, Recycled(restart=12, recycle=0, preconditioner="jacobi"), 1e-8)[1]
    assert sum(carried["iterations"]) < sum(cold["iterations"])


def test_a_failed_step_fails_the_sample_and_only_it():
    problem = Heat(shape=(16, 16))
    inputs = problem.draw(0, np.arange(3))
    inputs["a"][1, 3, 3] = np.nan
    fields, ledger = simulate(problem, inputs, Recycled(), 1e-8)
    assert ledger["status"] == ["ok", "failed", "ok"]
    assert ledger["reason"] == ["", "not_finite", ""]
    assert np.isnan(ledger["residual"][1])
    assert np.isnan(fields["u"][1]).all()
    assert np.isfinite(fields["u"][[0, 2]]).all()


def test_a_field_that_is_not_finite_fails_its_sample():
    class Logarithm(Darcy):
        def simulate(self, inputs, solve):
            fields = super().simulate(inputs, solve)
            fields["u"][1, 0, 0] = np.inf
            return fields

    problem = Logarithm(shape=(8, 8))
    fields, ledger = simulate(problem, problem.draw(0, np.arange(2)), Direct(), 1e-8)
    assert (ledger["status"], ledger["reason"]) == (["ok", "failed"], ["", "not_finite"])
    assert np.isnan(fields["u"][1]).all()


def test_the_ledger_says_when_the_direct_solver_helped_in_one_batch():
    row: Ledger = {"status": ["ok"], "reason": [""], "residual": [1e-9], "iterations": [3], "matvecs": [4]}
    row |= {"seconds": [0.5]}
    for names in (("recycled", "direct"), ("direct", "recycled")):
        total = combine([row | {"solver": [name]} for name in names])
        assert total["solver"] == ["direct"]
        assert (total["iterations"], total["matvecs"], total["seconds"]) == ([6], [8], [1.0])
    assert combine([row | {"solver": ["recycled"]}] * 2)["solver"] == ["recycled"]


def test_fields_that_solve_nothing_fail_and_those_of_fewer_samples_are_refused():
    class Silent(Darcy):
        def simulate(self, inputs, solve):  # noqa: ARG002
            return {"u": inputs["a"].astype(float)}

    class Halved(Silent):
        def simulate(self, inputs, solve):
            return super().simulate({"a": inputs["a"][:1]}, solve)

    inputs = Darcy(shape=(8, 8)).draw(0, np.arange(2))
    fields, ledger = simulate(Silent(shape=(8, 8)), inputs, Direct(), 1e-8)
    assert (ledger["status"], ledger["reason"]) == (["failed"] * 2, ["not_converged"] * 2)
    assert min(ledger["residual"]) > 1e-8
    assert np.isnan(fields["u"]).all()
    with pytest.raises(ValueError, match="'darcy' returned 1 fields 'u' for 2 samples, expected one per sample"):
        simulate(Halved(shape=(8, 8)), inputs, Direct(), 1e-8)


class OneByOne(Scaling):
    """Poses a system for large c alone, in as many parts as the sample asks for."""

    kind: Literal["one_by_one"] = "one_by_one"  # type: ignore[assignment]
    least: float = 1.5

    def simulate(self, inputs, solve):
        fields = []
        for c in inputs["c"]:
            if c[0] < self.least:
                fields.append(1 / c.astype(float))
                continue
            for _ in range(1 + int(10 * c[0]) % 3):
                u = super().simulate({"c": c[None]}, solve)["u"][0]
            fields.append(u)
        return {"u": np.array(fields)}


def test_systems_of_some_samples_are_those_of_the_sample_that_posed_them():
    problem, ids = OneByOne(), np.arange(12)
    inputs = problem.draw(0, ids)
    fields, ledger = simulate(problem, inputs, Direct(), 1e-8)
    c = inputs["c"][:, 0]
    posed = c >= problem.least
    assert posed.any()
    assert not posed.all()
    assert ledger["status"] == ["ok"] * 12
    assert ledger["solver"] == ["direct" if one else ITSELF for one in posed]
    assert ledger["matvecs"] == [1 + int(10 * one) % 3 if solved else 0 for one, solved in zip(c, posed, strict=True)]
    np.testing.assert_allclose(fields["u"], 1 / inputs["c"].astype(float), rtol=1e-12)
    alone = [simulate(problem, problem.draw(0, ids[i : i + 1]), Direct(), 1e-8)[0]["u"][0] for i in ids]
    np.testing.assert_array_equal(fields["u"], alone)


def test_one_sample_may_have_several_systems_at_once():
    class Twice(Scaling):
        kind: Literal["twice"] = "twice"  # type: ignore[assignment]

        def simulate(self, inputs, solve):
            return {"u": super().simulate({"c": np.repeat(inputs["c"], 2, axis=0)}, solve)["u"][::2]}

    fields, ledger = simulate(Twice(), Twice().draw(0, np.arange(3)), Direct(), 1e-8)
    assert ledger["matvecs"] == [2, 2, 2]
    assert fields["u"].shape == (3, 8)


def test_a_sample_without_systems_is_judged_by_its_residual():
    stable, unstable = Explicit(), Explicit(step=1.0, steps=400)
    inputs = stable.draw(0, np.arange(3))
    assert first_systems(stable, inputs) is None
    fields, ledger = simulate(stable, inputs, Direct(), 1e-8)
    assert ledger["status"] == ["ok"] * 3
    assert ledger["residual"] == stable.residual(inputs, fields).tolist()
    assert ledger["iterations"] == ledger["matvecs"] == [0] * 3
    assert min(ledger["seconds"]) > 0
    # A bound that the rounding of double precision does not meet.
    fields, ledger = simulate(stable, inputs, Direct(), 1e-18)
    assert (ledger["status"], ledger["reason"]) == (["failed"] * 3, ["not_converged"] * 3)
    assert np.isnan(fields["u"]).all()
    with np.errstate(all="ignore"):
        fields, ledger = simulate(unstable, inputs, Direct(), 1e-8)
    assert (ledger["status"], ledger["reason"]) == (["failed"] * 3, ["not_finite"] * 3)


def test_without_systems_and_without_a_residual_nothing_can_be_said():
    class Untold(Explicit):
        kind: Literal["untold"] = "untold"  # type: ignore[assignment]

        def equations(self, inputs, fields):
            raise NotImplementedError

    with pytest.raises(ValueError, match=r"'untold' posed no systems and has no residual.*expected `simulate` to call"):
        simulate(Untold(), Untold().draw(0, np.arange(2)), Direct(), 1e-8)
