"""Every solver against every other on the systems of every family."""

from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.problems.acoustic import Acoustic
from ritz.compute.problems.convection import Convection
from ritz.compute.problems.cookies import Cookies
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.elliptic import Elliptic
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.problems.laws import TwoPhase
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.poisson import Poisson
from ritz.compute.solvers.factorization.analysis import importable
from ritz.compute.solvers.factorization.cyclic import Cyclic
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.solvers.transform.transform import Transform

FAMILIES = {
    "darcy": Darcy(shape=(24, 20)),
    "two phases": Darcy(shape=(24, 24), law=TwoPhase()),
    "contrast": Darcy(shape=(24, 24), law=TwoPhase(low=1, high=1000)),
    "darcy 3D": Darcy(shape=(8, 9, 10)),
    "poisson": Poisson(shape=(20, 24)),
    "elliptic": Elliptic(shape=(16, 16)),
    "convection": Convection(shape=(24, 24), diffusivity=0.01),
    "helmholtz": Helmholtz(shape=(24, 24), wavenumber=12.0),
    "helmholtz 3D": Helmholtz(shape=(8, 8, 8), wavenumber=6.0),
    "acoustic": Acoustic(shape=(8, 9, 10), wavenumber=6.0),
    "heat": Heat(shape=(16, 16), steps=3),
    "burgers": Burgers(points=64, steps=3, end=0.1),
    "plate": Plate(cells=16),
    "cookies": Cookies(shape=(16, 20)),
}
SOLVERS = (
    *(Direct(library=library) for library in importable()),
    Multigrid(),
    Transform(),
    Cyclic(),
    Krylov(method="cg", preconditioner="icc"),
    Krylov(method="bicgstab", preconditioner="ilu"),
    Krylov(method="gmres", preconditioner="ssor"),
    Recycled(),
)


@pytest.fixture(scope="module", params=FAMILIES)
def posed(request):
    """All batches of systems of two samples, with their dense solutions."""
    problem = FAMILIES[request.param]
    batches = []

    def record(systems):
        exact = np.stack(
            [np.linalg.solve(systems.operators.csr(i).toarray(), systems.rhs[i].ravel()) for i in range(len(systems))]
        ).reshape(systems.rhs.shape)
        batches.append((systems, exact))
        return exact

    problem.simulate(problem.draw(0, np.arange(2)), record)
    return batches


@pytest.mark.parametrize(
    "solver", SOLVERS, ids=lambda solver: "-".join(map(str, list(solver.model_dump().values())[:2]))
)
def test_every_solver_answers_every_family_alike(solver, posed):
    reason = solver.unfit(posed[0][0])
    if reason:
        with pytest.raises(ValueError, match="expected a solver that can"):
            solver.solve(posed[0][0], rtol=1e-10)
        return
    carry = None
    for systems, exact in posed:
        solutions, carry = solver.solve(systems, rtol=1e-10, carry=carry)
        assert solutions.ledger["status"] == ["ok", "ok"]
        assert max(solutions.ledger["residual"]) <= 1e-10
        for x, y in zip(solutions.x, exact, strict=True):
            assert np.linalg.norm(x - y) <= 1e-7 * np.linalg.norm(y)


def test_transposed_operators_are_the_transposes(posed):
    """⟨Ax, y⟩ = ⟨x, Aᵀy⟩ without conjugation, and ⟨Ax, y⟩ = ⟨x, Aᴴy⟩ with it; once more they are the operators."""
    rng = np.random.default_rng(0)
    for systems, _ in posed:
        operators = systems.operators
        turned = operators.transposed()
        assert type(turned) is type(operators)
        assert (len(turned), turned.shape, turned.dtype) == (len(operators), operators.shape, operators.dtype)
        assert (turned.symmetric, turned.definite) == (operators.symmetric, operators.definite)
        assert turned.constant == operators.constant
        for i in range(len(operators)):
            x, y = (rng.standard_normal(operators.shape) + 1j * rng.standard_normal(operators.shape) for _ in range(2))
            there, back = operators.matvec(i, x), turned.matvec(i, y)
            scale = np.linalg.norm(there) * np.linalg.norm(y)
            assert abs(np.sum(there * y) - np.sum(x * back)) <= 1e-13 * scale
            adjoint = np.conj(turned.matvec(i, np.conj(y)))
            assert abs(np.vdot(y, there) - np.vdot(adjoint, x)) <= 1e-13 * scale
            assert np.array_equal(turned.transposed().entries(i), operators.entries(i))
