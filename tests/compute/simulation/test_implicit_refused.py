"""Fields that torch differentiates: what is refused, and what is said near singular systems."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch.autograd import forward_ad

from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.external import Along, External, Stored
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.poisson import Poisson
from ritz.compute.problems.problem import Problem
from ritz.compute.simulation.implicit import SolveSequence, Unsolved, implicit_solve
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.preconditioners.none import NoPreconditioner
from tests.compute.problems.test_linearised import Kept, Wide
from tests.compute.simulation.test_implicit import drawn, tracked
from tests.explicit import Explicit

# What torch loads for its first dual number.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")


def test_second_derivatives_are_refused() -> None:
    problem = Darcy(shape=(6, 6))
    inputs = tracked(drawn(problem, 1))
    u = implicit_solve(problem, inputs, solver=Direct())["u"]
    (gradient,) = torch.autograd.grad(u.square().sum(), inputs["a"], create_graph=True)
    with pytest.raises(NotImplementedError, match="implicit_solve has first derivatives alone"):
        gradient.sum().backward()
    with forward_ad.dual_level():
        moved = forward_ad.make_dual(inputs["a"], torch.ones_like(inputs["a"]))
        u = implicit_solve(problem, {"a": moved}, solver=Direct())["u"]
        with pytest.raises(NotImplementedError, match="first derivatives alone"):
            torch.autograd.grad(u.sum(), inputs["a"])


def resonant(off: float) -> tuple[Helmholtz, dict[str, torch.Tensor]]:
    """Return −Δ − k² with k² that far, relatively, from an eigenvalue of the discrete −Δ with an even mode."""
    cells = 8
    value = 4 * cells**2 * (np.sin(np.pi / (2 * cells)) ** 2 + np.sin(3 * np.pi / (2 * cells)) ** 2)
    k = torch.full((1, cells, cells), np.sqrt(value * (1 + off)), dtype=torch.float64)
    return Helmholtz(shape=(cells, cells), wavenumber=float(k[0, 0, 0])), {"k": k}


def test_near_a_resonance_gradients_grow_and_the_log_warns(caplog: pytest.LogCaptureFixture) -> None:
    sizes, conditions = [], []
    for off in (1e-3, 1e-5, 1e-7):
        problem, inputs = resonant(off)
        leaves, sequence = tracked(inputs), SolveSequence()
        with caplog.at_level(logging.WARNING, logger="ritz"):
            u = implicit_solve(problem, leaves, solver=Direct(), sequence=sequence)["u"]
            u.sum().backward()
        assert leaves["k"].grad is not None
        sizes.append(float(leaves["k"].grad.norm()))
        conditions.append(float(sequence.adjoints.condition[0]))
    # 1/μ² and 1/μ.
    assert sizes[1] / sizes[0] == pytest.approx(1e4, rel=0.05)
    assert conditions[1] / conditions[0] == pytest.approx(1e2, rel=0.05)
    (said,) = caplog.messages
    assert "the condition is at least" in said


def test_at_a_resonance_there_is_no_good_answer() -> None:
    problem, inputs = resonant(0.0)
    with pytest.raises(Unsolved, match=r"fields of problem 'helmholtz': no good answer .* in sample 0"):
        implicit_solve(problem, inputs, solver=Krylov(), rtol=1e-10)


def test_a_singular_system_that_is_consistent_is_solved_and_differentiated_along_consistent_changes() -> None:
    """The source is even in x and y; so is every change of k here, and what resonates is a pair of odd modes."""
    cells = 8
    value = 4 * cells**2 * (np.sin(np.pi / (2 * cells)) ** 2 + np.sin(2 * np.pi / (2 * cells)) ** 2)
    problem = Helmholtz(shape=(cells, cells), wavenumber=float(np.sqrt(value)))
    k = torch.full((1, cells, cells), np.sqrt(value), dtype=torch.float64)
    solver = Krylov(preconditioner=NoPreconditioner())
    way = torch.ones_like(k)

    def quantity(given: torch.Tensor) -> torch.Tensor:
        return implicit_solve(problem, {"k": given}, solver=solver, rtol=1e-11)["u"].square().sum()

    leaf = k.clone().requires_grad_()
    quantity(leaf).backward()
    assert leaf.grad is not None
    slope = float(quantity(k + 1e-5 * way) - quantity(k - 1e-5 * way)) / 2e-5
    assert float((leaf.grad * way).sum()) == pytest.approx(slope, rel=1e-5)


def test_a_sample_that_fails_may_be_left_out_of_the_loss() -> None:
    problem, inputs = resonant(0.0)
    k = torch.cat([inputs["k"], 0.7 * inputs["k"]]).requires_grad_()
    u = implicit_solve(problem, {"k": k}, solver=Krylov(), rtol=1e-10, failed="nan")["u"]
    good = torch.isfinite(u).flatten(1).all(1)
    assert good.tolist() == [False, True]
    u[good].sum().backward()
    assert k.grad is not None
    assert torch.isfinite(k.grad).all()
    assert not k.grad[0].any()


class Wrong(Darcy):
    """Darcy flow with a matrix that is not the derivative of its equations."""

    kind: Literal["wrong"] = "wrong"  # type: ignore[assignment]

    def linearised(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> Stencil:
        found = super().linearised(inputs, fields)
        return Stencil(1.001 * found.coefficients, True, True)


def external() -> External:
    along = (Along(name="x", count=4, axis="X"),)
    variables = (Stored(name="a", role="input", dims=("x",)), Stored(name="u", role="output", dims=("x",)))
    return External(origin="0" * 64, along=along, variables=variables)


@pytest.mark.parametrize(
    ("problem", "why"),
    [
        (external(), "fields of problem 'external' cannot be differentiated: "),
        (Kept(shape=(6, 6)), "its equations take NumPy arrays alone"),
        (Wide(shape=(6, 6)), "couple beyond the nearest neighbours"),
        (Explicit(steps=20), "it has 20 values at a point"),
    ],
)
def test_a_problem_without_derivatives_is_refused(problem: Problem, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        implicit_solve(problem, {}, solver=Direct())


def test_a_matrix_that_is_not_the_derivative_is_refused() -> None:
    inputs = tracked(drawn(Wrong(shape=(6, 6)), 2))
    u = implicit_solve(Wrong(shape=(6, 6)), inputs, solver=Direct())["u"]
    with pytest.raises(ValueError, match=r"problem 'wrong' returns as the derivatives of its equations is not"):
        u.sum().backward()


def changed(**given: Any) -> dict[str, Any]:
    inputs: dict[str, Any] = drawn(Poisson(shape=(6, 8)), 2)
    return {name: given.get(name, values) for name, values in inputs.items()} | given


@pytest.mark.parametrize(
    ("inputs", "error", "why"),
    [
        ({"f": torch.zeros(1, 6, 8)}, ValueError, r"inputs are \['f'\], expected those of problem 'poisson': \['east'"),
        (changed(g=torch.zeros(2)), ValueError, r"inputs are .*'g'"),
        (changed(f=np.zeros((2, 6, 8))), TypeError, "input 'f' is of ndarray, expected a torch tensor"),
        (
            changed(f=torch.zeros(2, 6, 8, dtype=torch.int64)),
            TypeError,
            "'f' has dtype torch.int64, expected torch.float",
        ),
        (changed(f=torch.zeros(2, 8, 6)), ValueError, r"input 'f' has shape \(2, 8, 6\), expected \(n, 6, 8\)"),
        (changed(f=torch.zeros(3, 6, 8)), ValueError, r"'f': 3.* expected one number of them"),
        (changed(f=torch.full((2, 6, 8), torch.nan)), ValueError, "input 'f' is not finite in 2 samples: 0, 1"),
    ],
)
def test_wrong_inputs_are_refused(inputs: dict[str, Any], error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        implicit_solve(Poisson(shape=(6, 8)), inputs, solver=Direct())


def test_a_cotangent_that_is_not_finite_is_refused() -> None:
    problem = Darcy(shape=(6, 6))
    inputs = tracked(drawn(problem, 3))
    u = implicit_solve(problem, inputs, solver=Direct())["u"]
    with pytest.raises(ValueError, match="the cotangent of 'u' is not finite in sample 1, expected finite numbers"):
        u.backward(torch.ones_like(u).index_fill(0, torch.tensor(1), torch.nan))


def test_a_solver_that_does_not_work_on_the_adjoint_systems_is_refused() -> None:
    problem = Plate(cells=8)
    inputs = tracked(drawn(problem, 1))
    u = implicit_solve(problem, inputs, solver=Krylov(method="cg"))["T"]
    with pytest.raises(ValueError, match=r"solver 'krylov' does not work on the adjoint systems .* `adjoint`"):
        u.sum().backward()
    u = implicit_solve(problem, inputs, solver=Krylov(method="cg"), adjoint=Direct())["T"]
    u.sum().backward()
    assert inputs["level"].grad is not None


def test_a_wrong_tolerance_is_refused() -> None:
    problem = Darcy(shape=(6, 6))
    with pytest.raises(ValueError, match="rtol is 2"):
        implicit_solve(problem, drawn(problem, 1), solver=Direct(), rtol=2.0)
