from __future__ import annotations

import pickle

import numpy as np
import pytest

from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.laws import Lognormal
from ritz.compute.simulation.correction import correct
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers import kept
from ritz.compute.solvers.assembly import convection_diffusion, diffusion, with_reaction
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.multigrid import cycle, hierarchy, iterate
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.solvers.multigrid.plan import (
    COLOURS,
    GATHER,
    MARGIN,
    NX,
    NY,
    NZ,
    POINT,
    POINTS,
    SLOTS,
    STENCIL,
    STRIDE_Y,
    STRIDE_Z,
    SUPPORT,
    plan,
)
from ritz.compute.solvers.multigrid.workspace import Workspace
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.systems import Systems


def lognormal(*shape, seed=0, sigma=1.0):
    """Smooth random coefficients, contrast about 100."""
    if len(shape) == 2:
        return Lognormal(sigma=sigma).draw(seed, np.arange(1), shape)
    rng = np.random.default_rng(seed)
    grids = np.meshgrid(*((np.arange(n) + 0.5) / n for n in shape), indexing="ij")
    field = sum(rng.standard_normal() * np.cos(np.pi * k * grid) for grid in grids for k in (1, 2, 3))
    return np.exp(sigma * field)[None]


def whirl(*shape, strength):
    """A divergence-free velocity from a stream function, through the faces across y and across x."""
    ny, nx = shape
    y, x = np.meshgrid(np.linspace(0, 1, ny + 1), np.linspace(0, 1, nx + 1), indexing="ij")
    stream = strength * np.sin(2 * np.pi * x) * np.sin(np.pi * y) / np.pi
    return (np.diff(stream, axis=1) * nx)[None], (-np.diff(stream, axis=0) * ny)[None]


def solve(operators, rtol=1e-8, seed=1, **fields):
    rhs = np.random.default_rng(seed).standard_normal((len(operators), *operators.shape))
    solutions, _ = Multigrid(**fields).solve(Systems(operators, rhs), rtol=rtol)
    assert set(solutions.ledger["solver"]) == {"multigrid"}
    return rhs, solutions


@pytest.mark.parametrize(
    "shape",
    [
        (64,),
        (37,),
        (2, 3),
        (16, 16),
        (33, 64),
        (50, 27),
        (20, 60),
        (1, 40),
        (40, 1),
        (16, 12, 20),
        (9, 9, 9),
        (3, 30, 17),
        (1, 12, 9),
        (12, 1, 9),
    ],
    ids=str,
)
def test_it_agrees_with_a_direct_solver_on_any_grid(shape):
    operators = diffusion(lognormal(*shape))
    rhs, solutions = solve(operators, rtol=1e-10)
    exact = Direct().solve(Systems(operators, rhs), rtol=1e-10)[0].x
    assert np.linalg.norm(solutions.x - exact) <= 1e-7 * np.linalg.norm(exact)


@pytest.mark.parametrize("strength", [1.0, 10.0, 100.0])
@pytest.mark.parametrize("shape", [(32, 32), (45, 30)], ids=str)
def test_it_agrees_with_a_direct_solver_where_things_flow(shape, strength):
    operators = convection_diffusion(1.0, whirl(*shape, strength=strength))
    rhs, solutions = solve(operators, rtol=1e-10)
    exact = Direct().solve(Systems(operators, rhs), rtol=1e-10)[0].x
    assert np.linalg.norm(solutions.x - exact) <= 1e-7 * np.linalg.norm(exact)
    assert solutions.ledger["iterations"][0] <= 20


def test_iterations_do_not_depend_on_the_grid():
    counts = [solve(diffusion(lognormal(n, n)))[1].ledger["iterations"][0] for n in (64, 128, 256, 512)]
    assert max(counts) - min(counts) <= 2
    assert max(counts) <= 10


def test_sharp_jumps_cost_few_iterations():
    for contrast in (1e3, 1e6):
        a = np.where(Lognormal().draw(3, np.arange(3), (128, 128)) > 1, contrast, 1.0)
        assert max(solve(diffusion(a))[1].ledger["iterations"]) <= 15


def test_jumps_in_three_dimensions_cost_few_iterations():
    layers = np.where(np.add.outer(np.add.outer(np.arange(24), np.arange(24)), np.arange(24)) // 7 % 2, 1000.0, 1.0)
    assert solve(diffusion(layers[None]))[1].ledger["iterations"][0] <= 15


@pytest.mark.parametrize("shape", [(50,), (10, 13), (6, 7, 5)], ids=str)
@pytest.mark.parametrize("symmetric", [True, False])
def test_coarse_operators_are_products_with_the_transfers(shape, symmetric):
    if symmetric:
        operators = diffusion(lognormal(*shape))
    else:
        c = np.abs(np.random.default_rng(0).standard_normal((1, 1 + 2 * len(shape), *shape)))
        c[:, 1:] = -c[:, 1:]
        for axis in range(len(shape)):
            np.moveaxis(c[:, 1 + 2 * axis], 1 + axis, 1)[:, 0] = 0
            np.moveaxis(c[:, 2 + 2 * axis], 1 + axis, 1)[:, -1] = 0
        c[:, 0] -= c[:, 1:].sum(axis=1)
        operators = Stencil(c, definite=True)
    grid = plan(shape)
    made = Workspace(grid).built(operators.solid(0), symmetric, fresh=False)
    P = transfer(grid, made.prolongation)
    R = P if symmetric else transfer(grid, made.restriction)
    A, coarse = matrix(grid, made.stencils, 0), matrix(grid, made.stencils, 1)
    scale = np.abs(operators.coefficients).max()
    assert scale * A == pytest.approx(operators.csr(0).toarray(), rel=1e-5, abs=1e-5 * scale)
    added = coarse - R.T @ A @ P
    rounding = 2e-6 * np.abs(coarse).max()
    if symmetric:
        assert np.abs(added).max() <= rounding
    else:
        # Viscosity keeps the sums of rows, but for what goes to walls, and leaves no positive coupling.
        assert (coarse - np.diag(np.diag(coarse))).max() <= rounding
        assert added.sum(axis=1).min() >= -rounding
    # Away from the walls a constant is interpolated exactly.
    if symmetric:
        inner = np.all([(at >= 3) & (at < n - 3) for at, n in zip(np.indices(shape), shape, strict=True)], axis=0)
        assert P[inner.ravel()].sum(axis=1) == pytest.approx(np.ones(inner.sum()), abs=1e-5)


def test_a_good_guess_is_taken_up():
    operators = diffusion(lognormal(48, 48))
    rhs = np.ones((1, 48, 48))
    first, _ = Multigrid().solve(Systems(operators, rhs), rtol=1e-8)
    again, _ = Multigrid().solve(Systems(operators, rhs, first.x), rtol=1e-8)
    near, _ = Multigrid().solve(Systems(operators, rhs, first.x * (1 + 1e-5)), rtol=1e-8)
    assert again.ledger["iterations"] == [0]
    assert 0 < near.ledger["iterations"][0] < first.ledger["iterations"][0]


@pytest.fixture
def built(monkeypatch):
    """A list that gets longer by one with every hierarchy that is built."""
    calls: list[int] = []
    build = iterate.load

    def counted(*arguments):
        calls.append(1)
        return build(*arguments)

    monkeypatch.setattr(iterate, "load", counted)
    return calls


def stepped(operators, steps):
    """Solve with right-hand sides that follow from each other; return the answers and the last carry."""
    rhs, carry, answers = np.random.default_rng(0).standard_normal((len(operators), *operators.shape)), None, []
    for _ in range(steps):
        solutions, carry = Multigrid().solve(Systems(operators, rhs), rtol=1e-6, carry=carry)
        assert set(solutions.ledger["solver"]) == {"multigrid"}
        rhs = solutions.x
        answers.append(solutions.x)
    return answers, carry


def heat():
    return with_reaction(diffusion(np.concatenate([lognormal(20, 14, seed=seed) for seed in range(3)])), 50.0, True)


def flow():
    faces = [np.concatenate(parts) for parts in zip(*(whirl(20, 14, strength=s) for s in (1, 3, 9)), strict=True)]
    return convection_diffusion(1.0, faces)


@pytest.mark.parametrize("make", [heat, flow])
def test_hierarchies_of_operators_that_come_again_are_built_twice_at_most(make, built, monkeypatch):
    operators = make()
    answers, carry = stepped(operators, 5)
    assert len(built) == 6
    monkeypatch.setattr(kept, "KEPT", 0)
    anew, _ = stepped(operators, 5)
    assert len(built) == 6 + 15
    assert np.array_equal(answers, anew)
    # A copy builds them again and goes on with the same bits.
    copied = pickle.loads(pickle.dumps(carry))
    assert copied.made == {}
    last = Systems(operators, answers[-1])
    kept_on, again = (Multigrid().solve(last, rtol=1e-6, carry=one)[0].x for one in (carry, copied))
    assert np.array_equal(kept_on, again)


def test_steps_of_heat_build_two_hierarchies_a_sample_and_corrections_four(built):
    """Halves of steps have other equations than whole ones."""
    problem = Heat(shape=(12, 16), steps=6)
    inputs = problem.draw(0, np.arange(3))
    fields, _ = simulate(problem, inputs, Multigrid(), 1e-8)
    assert len(built) == 2 * 3
    correct(problem, inputs, {"u": 1.1 * fields["u"]}, Multigrid(), 0.01)
    assert len(built) == (2 + 4) * 3


def test_hierarchies_are_kept_up_to_a_number_of_unknowns(built, monkeypatch):
    monkeypatch.setattr(kept, "KEPT", 2 * 20 * 14)
    _, carry = stepped(heat(), 5)
    assert len(carry.made) == 2
    assert len(built) == 6 + 3


def test_of_operators_that_come_once_nothing_is_kept(built):
    carry = None
    for seed in range(3):
        operators = diffusion(lognormal(12, 12, seed=seed))
        _, carry = Multigrid().solve(Systems(operators, np.ones((1, 12, 12))), rtol=1e-6, carry=carry)
        assert carry.operators is operators
        assert not carry.made
    assert len(built) == 3


def test_a_kept_hierarchy_outlives_other_grids_and_symmetries(built):
    """What is kept has buffers of its own: what is built between leaves it alone."""
    operators = heat()
    answers, carry = stepped(operators, 3)
    solve(flow())
    solve(diffusion(lognormal(20, 14)))
    solve(diffusion(lognormal(31, 9)))
    once, _ = Multigrid().solve(Systems(operators, answers[1]), rtol=1e-6, carry=carry)
    assert np.array_equal(once.x, answers[2])


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_of_a_system_does_not_matter(scale):
    operators = diffusion(lognormal(32, 32))
    scaled = Stencil(operators.coefficients * scale, symmetric=True, definite=True)
    rhs = np.random.default_rng(0).standard_normal((1, 32, 32))
    plain, _ = Multigrid().solve(Systems(operators, rhs), rtol=1e-8)
    other, _ = Multigrid().solve(Systems(scaled, rhs / scale), rtol=1e-8)
    assert other.ledger["iterations"] == plain.ledger["iterations"]
    assert other.x * scale * scale == pytest.approx(plain.x, rel=1e-6, abs=1e-9)


def test_what_it_cannot_solve_is_said():
    plain = diffusion(np.ones((1, 8, 8)))
    ones = np.ones((1, 8, 8))
    assert Multigrid().unfit(Systems(plain, ones)) == ""
    assert "definite" in Multigrid().unfit(Systems(with_reaction(plain, -1000.0, definite=False), ones))
    assert "real" in Multigrid().unfit(Systems(plain, ones * 1j))
    with pytest.raises(ValueError, match="solver is 'multigrid'"):
        Multigrid().solve(Systems(with_reaction(plain, -1000.0, definite=False), ones), rtol=1e-8)


def test_flow_in_closed_loops_that_is_too_strong_goes_to_the_direct_solver():
    operators = convection_diffusion(1.0, whirl(32, 32, strength=3000.0))
    solutions, _ = Multigrid(maxiter=30).solve(Systems(operators, np.ones((1, 32, 32))), rtol=1e-8)
    assert solutions.ledger["solver"] == ["direct"]
    assert solutions.ledger["residual"][0] <= 1e-8


def test_an_indefinite_operator_in_disguise_goes_to_the_direct_solver():
    wrong = with_reaction(diffusion(np.ones((1, 16, 16))), -100.0, definite=True)
    solutions, _ = Multigrid(maxiter=20).solve(Systems(wrong, np.ones((1, 16, 16))), rtol=1e-8)
    assert solutions.ledger["status"] == ["ok"]
    assert solutions.ledger["residual"][0] <= 1e-8


def transfer(grid, weights):
    """Return a transfer between the two finest levels as a dense matrix, a column a coarse cell."""
    levels, begin = grid.levels, grid.begin
    fine, coarse = levels[0], levels[1]
    padded = coarse[SLOTS] + 2 * coarse[MARGIN]
    used = weights[: fine[SUPPORT] * padded]
    columns = []
    for slot in slots(grid, 1):
        unit = np.zeros(padded, np.float32)
        unit[slot] = 1
        planes = np.zeros(fine[COLOURS] * padded, np.float32)
        rows = grid.gather[begin[0, GATHER] : begin[1, GATHER]]
        cycle.prolong(unit, rows, coarse[MARGIN], coarse[SLOTS], padded, used, planes)
        spread = np.zeros(fine[SLOTS] + 2 * fine[MARGIN], np.float32)
        hierarchy.join(planes, fine, coarse, spread)
        columns.append(spread[slots(grid, 0)])
    return np.stack(columns, axis=1).astype(np.float64)


def slots(grid, level):
    """Return where the cells of a level lie in its padded vectors, in C order."""
    row = grid.levels[level]
    cells = np.indices(row[[NZ, NY, NX]])
    return (row[MARGIN] + cells[0] * row[STRIDE_Z] + cells[1] * row[STRIDE_Y] + cells[2]).ravel()


def matrix(grid, stencils, level):
    """Return the operator of a level as a dense matrix."""
    row = grid.levels[level]
    length = row[POINTS] * (row[SLOTS] + 2 * row[MARGIN])
    stencil = stencils[row[STENCIL] : row[STENCIL] + length]
    return hierarchy.dense(stencil, grid.points[row[POINT] : row[POINT] + row[POINTS]], row)
