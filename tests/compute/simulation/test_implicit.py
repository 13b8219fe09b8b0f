"""Fields that torch differentiates: gradients and tangents of all families, by all sorts of solvers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.autograd import forward_ad

from ritz.compute.problems.acoustic import Acoustic
from ritz.compute.problems.convection import Convection
from ritz.compute.problems.cookies import Cookies
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.elliptic import Elliptic
from ritz.compute.problems.evolutions.advection_diffusion import AdvectionDiffusion
from ritz.compute.problems.evolutions.allen_cahn import AllenCahn
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.evolutions.lorenz96 import Lorenz96
from ritz.compute.problems.evolutions.navier_stokes import NavierStokes
from ritz.compute.problems.evolutions.reaction_diffusion import ReactionDiffusion
from ritz.compute.problems.evolutions.wave import Wave
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.problems.laws import Lognormal
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.poisson import Poisson
from ritz.compute.problems.problem import Problem
from ritz.compute.problems.ranges import Range
from ritz.compute.problems.variational import Variational
from ritz.compute.simulation.implicit import SolveSequence, implicit_solve
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.solvers.preconditioners.none import NoPreconditioner
from ritz.compute.solvers.solver import Solver
from ritz.compute.solvers.transform.transform import Transform
from tests.compute.problems.families import SMALL, kinds
from tests.compute.problems.test_linearised import Local

# What torch loads for its first dual number.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

EVOLUTIONS = (
    *(KuramotoSivashinsky, Lorenz96, NavierStokes, AdvectionDiffusion, Wave),
    *(ReactionDiffusion, AllenCahn),
)

FULL: dict[str, Problem] = {
    "darcy": Darcy(shape=(24, 24)),
    "poisson": Poisson(shape=(24, 24)),
    "elliptic": Elliptic(shape=(24, 24), tolerance=1e-12),
    "convection": Convection(shape=(24, 24)),
    "helmholtz": Helmholtz(shape=(24, 24), wavenumber=8.0),
    "acoustic": Acoustic(shape=(24, 24), wavenumber=6.0),
    "heat": Heat(shape=(24, 24), steps=4),
    "burgers": Burgers(points=24, steps=4, end=0.1, tolerance=1e-12),
    "plate": Plate(cells=8),
    "cookies": Cookies(shape=(24, 24)),
    "variational": Variational(shape=(24, 24), tolerance=1e-12),
    **{name: problem for name, problem in SMALL.items() if isinstance(problem, EVOLUTIONS)},
}
"""All families, at the sizes at which gradients are compared with differences."""

TINY: dict[str, Problem] = {
    "darcy": Darcy(shape=(6, 6)),
    "poisson": Poisson(shape=(6, 6)),
    "elliptic": Elliptic(shape=(6, 6), tolerance=1e-13),
    "convection": Convection(shape=(6, 6), diffusivity=0.1),
    "helmholtz": Helmholtz(shape=(6, 6), wavenumber=3.0),
    "acoustic": Acoustic(shape=(6, 6), wavenumber=2.0),
    "heat": Heat(shape=(6, 6), steps=2),
    "burgers": Burgers(points=6, steps=2, end=0.1, tolerance=1e-13),
    "plate": Plate(cells=8),
    "cookies": Cookies(shape=(6, 6)),
    "variational": Variational(shape=(6, 6), tolerance=1e-13),
    "kuramoto_sivashinsky": KuramotoSivashinsky(
        points=8, steps=4, store_every=2, end=0.5, length=6.0, viscosity=Range(low=0.5, high=2, log=True)
    ),
    "lorenz96": Lorenz96(sites=6, steps=4, store_every=2, end=0.1, spin_up=0, forcing=Range(low=4, high=8)),
    "navier_stokes": NavierStokes(
        shape=(6, 6), steps=4, store_every=2, end=0.5, viscosity=Range(low=0.01, high=0.1, log=True)
    ),
    "advection_diffusion": AdvectionDiffusion(
        shape=(6, 6), steps=4, store_every=2, end=0.3, velocity_x=Range(low=0.5, high=1), viscosity=0.01
    ),
    "wave": Wave(shape=(6, 6), steps=8, store_every=4, end=0.5),
    "reaction_diffusion": ReactionDiffusion(
        shape=(6, 6), length=0.25, steps=2, end=2.0, feed=Range(low=0.01, high=0.1)
    ),
    "allen_cahn": AllenCahn(
        shape=(6, 6), steps=2, end=1.0, tolerance=1e-13, epsilon=Range(low=0.05, high=0.2, log=True)
    ),
}
"""One of each kind, on 6² points or about as many."""


def drawn(problem: Problem, n: int, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(values, dtype=dtype) for name, values in problem.draw(0, np.arange(n)).items()}


def directions(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(values.shape, generator=generator, dtype=torch.float64) for name, values in tensors.items()
    }


def product(ones: Mapping[str, torch.Tensor], others: Mapping[str, torch.Tensor]) -> float:
    return float(sum((ones[name] * others[name].double()).sum() for name in ones))


def tracked(inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: values.clone().requires_grad_() for name, values in inputs.items()}


def test_every_kind_is_differentiated() -> None:
    assert {one.kind for one in FULL.values()} == {one.kind for one in TINY.values()} == kinds()


@pytest.mark.parametrize("name", FULL)
def test_gradients_are_central_differences_and_tangents_their_transposes(name: str) -> None:
    problem = FULL[name]
    inputs = drawn(problem, 2)

    def solved(given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return implicit_solve(problem, given, solver=Direct(), rtol=1e-12)

    leaves = tracked(inputs)
    fields = solved(leaves)
    weights = directions(fields)
    found = torch.autograd.grad(list(fields.values()), list(leaves.values()), list(weights.values()))
    gradients = dict(zip(leaves, found, strict=True))
    # Relative changes: a coefficient stays positive.
    ways = {name: way * (1e-3 + inputs[name].abs()) for name, way in directions(inputs).items()}
    for name, way in ways.items():
        # Two differences, from which the error of second order goes; upwind fluxes have kinks where a flow turns.
        step = 1e-6 if problem.kind == "convection" else 1e-4
        slopes = [
            (
                product(weights, solved({**inputs, name: inputs[name] + h * way}))
                - product(weights, solved({**inputs, name: inputs[name] - h * way}))
            )
            / (2 * h)
            for h in (step, 2 * step)
        ]
        assert product({name: way}, gradients) == pytest.approx((4 * slopes[0] - slopes[1]) / 3, rel=1e-6)
    with forward_ad.dual_level():
        duals = solved({name: forward_ad.make_dual(inputs[name], way) for name, way in ways.items()})
        moved = {name: forward_ad.unpack_dual(values).tangent for name, values in duals.items()}
    assert product(weights, moved) == pytest.approx(product(ways, gradients), rel=1e-10)


@pytest.mark.parametrize("name", TINY)
def test_gradcheck(name: str) -> None:
    problem = TINY[name]
    inputs = tracked(drawn(problem, 1))

    def solved(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = dict(zip(inputs, tensors, strict=True))
        return tuple(implicit_solve(problem, given, solver=Direct(), rtol=1e-12).values())

    assert torch.autograd.gradcheck(
        solved, tuple(inputs.values()), eps=1e-5, atol=1e-6, rtol=1e-5, check_forward_ad=True, fast_mode=True
    )


@pytest.mark.parametrize(
    ("problem", "solver"),
    [
        (Darcy(shape=(12, 16)), Multigrid()),
        (Darcy(shape=(12, 16)), Krylov(method="cg")),
        (Darcy(shape=(12, 16)), Recycled()),
        (Poisson(shape=(12, 16)), Transform()),
        (Helmholtz(shape=(12, 16), wavenumber=6.0), Transform()),
        (Convection(shape=(12, 16)), Multigrid()),
        (Elliptic(shape=(12, 16), law=Lognormal(), strength=1000.0), Multigrid()),
        (Plate(cells=8), Krylov(method="bicgstab")),
        (Heat(shape=(12, 16), steps=3), Multigrid()),
        (Darcy(shape=(12, 16)), Auto(candidates=(Multigrid(), Direct()))),
    ],
)
def test_any_solver_gives_the_same_gradient(problem: Problem, solver: Solver) -> None:
    gradients = []
    for one in (Direct(), solver):
        inputs = tracked(drawn(problem, 3))
        fields = implicit_solve(problem, inputs, solver=one, rtol=1e-11)
        squares = torch.stack([values.square().sum() for values in fields.values()])
        gradients.append(dict(zip(inputs, torch.autograd.grad(squares.sum(), list(inputs.values())), strict=True)))
    for name, expected in gradients[0].items():
        assert torch.linalg.norm(gradients[1][name] - expected) <= 1e-7 * torch.linalg.norm(expected)


def test_derivatives_by_colours_are_those_of_the_matrix() -> None:
    found: list[torch.Tensor] = []
    for problem in (Darcy(shape=(8, 9)), Local(shape=(8, 9))):
        inputs = tracked(drawn(problem, 2))
        u = implicit_solve(problem, inputs, solver=Direct(), rtol=1e-12)["u"]
        found += torch.autograd.grad(u.square().sum(), inputs["a"])
    assert torch.allclose(found[0], found[1], rtol=1e-9, atol=0)


def test_tensors_keep_dtype_and_a_sample_does_not_see_the_others() -> None:
    problem = Darcy(shape=(8, 8))
    inputs = tracked(drawn(problem, 3, torch.float32))
    u = implicit_solve(problem, inputs, solver=Direct())["u"]
    assert u.dtype == torch.float32
    u[1].sum().backward()
    gradient = inputs["a"].grad
    assert gradient is not None
    assert gradient.dtype == torch.float32
    assert gradient.flatten(1).any(1).tolist() == [False, True, False]


def test_only_samples_and_inputs_that_count_are_solved_for() -> None:
    problem, sequence = Poisson(shape=(8, 8)), SolveSequence()
    inputs = drawn(problem, 4)
    inputs["f"].requires_grad_()
    u = implicit_solve(problem, inputs, solver=Direct(), sequence=sequence)["u"]
    assert sequence.adjoints.ledger is None
    u[2].sum().backward()
    assert sequence.adjoints.samples.tolist() == [2]
    assert sequence.adjoints.ledger is not None
    assert sequence.adjoints.ledger["status"] == ["ok"]
    assert inputs["south"].grad is None


def test_a_state_in_the_middle_is_differentiated_by_the_steps_before_it() -> None:
    problem, sequence = Heat(shape=(8, 8), steps=4), SolveSequence()
    inputs = tracked(drawn(problem, 1))
    u = implicit_solve(problem, inputs, solver=Krylov(), sequence=sequence)["u"]
    u[:, 0].sum().backward()
    first = sequence.adjoints.ledger
    u = implicit_solve(problem, inputs, solver=Krylov(), sequence=sequence)["u"]
    u.sum().backward()
    assert first is not None
    assert sequence.adjoints.ledger is not None
    assert sequence.adjoints.ledger["matvecs"][0] > 3 * first["matvecs"][0]


def test_a_solver_in_the_loop_trains() -> None:
    """A module predicts log a from nothing but its parameters, and learns it from the pressures."""
    problem = Darcy(shape=(8, 8))
    truth = implicit_solve(problem, drawn(problem, 1), solver=Direct())["u"]

    class Surrogate(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.log_a = torch.nn.Parameter(torch.zeros(1, 8, 8, dtype=torch.float64))

        def forward(self) -> torch.Tensor:
            return implicit_solve(problem, {"a": self.log_a.exp()}, solver=Multigrid())["u"]

    module = Surrogate()
    optimiser = torch.optim.LBFGS(module.parameters(), max_iter=30, line_search_fn="strong_wolfe")
    losses = []

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = ((module() - truth) / truth).square().mean()
        loss.backward()
        losses.append(loss.item())
        return loss

    optimiser.step(closure)
    assert losses[-1] < 1e-4 * losses[0]


def test_a_sequence_goes_on_with_the_carry_of_its_adjoints() -> None:
    problem, walk = Darcy(shape=(24, 24)), SolveSequence()
    solver = Recycled(preconditioner=NoPreconditioner(), guard=False, recycle=10, restart=30)
    matvecs: dict[bool, int] = {True: 0, False: 0}
    a = drawn(problem, 1)["a"]
    for step in range(5):
        for carried in (True, False):
            given = (a * (1 + 0.01 * step)).requires_grad_()
            sequence = walk if carried else SolveSequence()
            u = implicit_solve(problem, {"a": given}, solver=solver, adjoint=solver, sequence=sequence)["u"]
            u.square().sum().backward()
            assert sequence.adjoints.ledger is not None
            matvecs[carried] += sequence.adjoints.ledger["matvecs"][0]
    assert matvecs[True] < 0.8 * matvecs[False]


def test_the_python_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "gradients.md").read_text(encoding="utf-8")
    first, second = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(first, {})
    exec(second, {})
    shape, misfits = capsys.readouterr().out.splitlines()
    assert shape == "torch.Size([4, 32, 32])"
    before, after = map(float, misfits.split())
    assert after < 1e-2 * before
