"""What solvers count as work."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ritz.compute.solvers.assembly import diffusion
from ritz.compute.solvers.choice.candidates import CANDIDATES
from ritz.compute.solvers.factorization.cyclic import Cyclic
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.guard import APPLICATION
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.iterative.recycler import Recycler
from ritz.compute.solvers.krylov import gcrodr
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.preconditioners.ilu import ILU
from ritz.compute.solvers.preconditioners.ssor import SSOR
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.transform.transform import Transform


@pytest.fixture(scope="module")
def systems():
    a = np.exp(np.random.default_rng(0).standard_normal((3, 16, 16)))
    return Systems(diffusion(a), np.ones(a.shape))


def line(n: int) -> Systems:
    coefficients = np.full((2, 3, n), -1.0)
    coefficients[:, 0] = 2.5
    coefficients[:, 1, 0] = coefficients[:, 2, -1] = 0
    return Systems(Stencil(coefficients, symmetric=True, definite=True), np.ones((2, n)))


SOLVERS = (
    Multigrid(),
    Transform(),
    Cyclic(),
    Direct(library="superlu"),
    Krylov(method="cg", preconditioner="ssor"),
    Krylov(method="bicgstab", preconditioner="jacobi"),
    Krylov(method="gmres", preconditioner=ILU(fill=1)),
    Krylov(method="gmres", preconditioner="none"),
    Recycled(recycle=0),
    Recycled(restart=12, recycle=4),
)


def work(solver, systems, i=0, carry=None):
    attempt, carry = solver.attempt(systems, i, rtol=1e-8, carry=carry)
    assert attempt.work is not None
    return attempt, carry


def test_all_shipped_solvers_are_asked():
    assert {type(solver) for solver in SOLVERS} == set(CANDIDATES)


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: repr(solver)[:60])
def test_every_shipped_solver_counts_its_work(solver, systems):
    systems = line(40) if solver.unfit(systems) else systems
    found = [work(solver, systems, i)[0].work for i in range(2)]
    assert all(10 < one < 1e5 for one in found)
    # Not the clock: the same again.
    assert work(solver, systems, 0)[0].work == found[0]


def test_the_work_of_restarted_gmres_is_counted_without_a_recycled_space(systems):
    found = {}
    for restart in (5, 50):
        recycler = Recycler()
        gcrodr(
            systems.operators.csr(0), systems.rhs[0].ravel(), rtol=1e-8, restart=restart, recycle=0, recycler=recycler
        )
        assert recycler.basis is None
        found[restart] = recycler.work / recycler.matvecs
        assert recycler.work > APPLICATION * recycler.matvecs
    # A longer cycle is dearer a step: what is made orthogonal grows.
    assert found[50] > 1.3 * found[5]


def test_work_is_set_up_and_applications(systems):
    solver = Krylov(method="cg", preconditioner=SSOR(omega=1.5))
    M = SSOR(omega=1.5).inverse(systems.operators, 0)
    attempt, _ = work(solver, systems)
    assert attempt.work == M.made + M.applied * attempt.matvecs
    fills = [ILU(fill=fill).inverse(systems.operators, 0) for fill in (0, 1, 2, 4)]
    assert all(one.made < more.made and one.applied < more.applied for one, more in pairwise(fills))


def test_more_sweeps_are_dearer_per_iteration(systems):
    found = [work(Multigrid(sweeps=sweeps), systems)[0] for sweeps in (1, 2, 4)]
    per_iteration = [attempt.work / attempt.iterations for attempt in found]
    assert per_iteration == sorted(per_iteration)


@pytest.mark.parametrize("solver", [Multigrid(), Direct(library="superlu")], ids=["hierarchy", "factors"])
def test_what_is_kept_of_operators_that_come_again_is_not_made_again(solver, systems):
    carry, found = None, []
    for _ in range(3):
        attempt, carry = work(solver, systems, 0, carry)
        found.append(attempt.work)
    assert found[0] == found[1] > found[2]


def test_a_solver_that_factors_once_more_is_charged_for_it(systems):
    singular = Systems(Stencil(np.zeros((1, 5, 16, 16)), symmetric=True), systems.rhs[:1])
    direct = Direct(library="superlu")
    attempt, _ = work(direct, singular)
    assert attempt.reason == "breakdown"
    assert attempt.work == 2 * work(direct, systems)[0].work
