"""The sequences of systems that the solvers are compared on, and what is to be shown on each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.sparse as sp

from benchmarks.goals import GMRES_ILU, Goal, faster, iterations
from compute.problems.convection import Convection
from compute.problems.darcy import Darcy
from compute.problems.helmholtz import Helmholtz
from compute.problems.laws import TwoPhase
from compute.problems.poisson import Poisson
from compute.problems.problem import Problem
from compute.solvers.matrices import Matrices
from compute.solvers.order import greedy
from compute.solvers.systems import Systems

SEED = 0


@dataclass(frozen=True)
class Family:
    """A sequence of related systems.

    Attributes
    ----------
    name
        On the command line.
    title
        In the table.
    pose
        Takes how many systems are wanted; returns them in the order in which they are to be solved.
    count
        How many are solved.
    goals
        What is to be shown.
    together
        How many right-hand sides of one matrix are handed over at once.
    """

    name: str
    title: str
    pose: Callable[[int], Systems]
    count: int
    goals: tuple[Goal, ...]
    together: int = 1


def posed(problem: Problem, count: int) -> Systems:
    """Return the systems of the first samples of a problem, in the order in which a run would solve them."""
    inputs = problem.draw(SEED, np.arange(count))
    order = greedy(problem.features(inputs))
    systems: list[Systems] = []

    def solve(batch: Systems) -> np.ndarray:
        systems.append(batch)
        return np.zeros(batch.rhs.shape)

    problem.simulate({name: field[order] for name, field in inputs.items()}, solve)
    return systems[0]


def plate(cells: int, count: int) -> Systems:
    """Pose −ΔT = 0 on a square plate with slots that let no heat through, given random temperatures at two walls."""
    solid = np.ones((cells, cells), dtype=bool)
    width = max(cells // 64, 1)
    for slot in range(1, 6):
        middle = slot * cells // 6
        side = slice(0, cells // 2) if slot % 2 else slice(cells // 2, cells)
        solid[side, middle : middle + width // 2 + 1] = False
    number = np.cumsum(solid.ravel()).reshape(solid.shape) - 1
    rows, columns = [], []
    for here, there in ((np.s_[:-1, :], np.s_[1:, :]), (np.s_[:, :-1], np.s_[:, 1:])):
        both = solid[here] & solid[there]
        rows += [number[here][both], number[there][both]]
        columns += [number[there][both], number[here][both]]
    size = int(solid.sum())
    graph = sp.csr_array((np.ones(sum(map(len, rows))), (np.concatenate(rows), np.concatenate(columns))), (size, size))
    walls = np.zeros((2, size))
    walls[0, number[0][solid[0]]] = 2
    walls[1, number[-1][solid[-1]]] = 2
    matrix = sp.csr_array(sp.diags_array(graph.sum(axis=1) + walls.sum(axis=0)) - graph)
    pattern = Matrices.pattern_of(matrix)
    values = np.broadcast_to(matrix.data, (count, matrix.nnz))
    temperatures = np.random.default_rng(SEED).standard_normal((count, 2))
    return Systems(Matrices(values, pattern, (size,), symmetric=True, definite=True), temperatures @ walls)


MULTIGRID, TRANSFORM, KRYLOV, RECYCLED = ({"kind": kind} for kind in ("multigrid", "transform", "krylov", "recycled"))
DIRECT = tuple({"kind": "direct", "library": library} for library in ("superlu", "pardiso", "cholmod"))
SOLVERS = (MULTIGRID, TRANSFORM, *DIRECT, KRYLOV, RECYCLED)
"""Recipes of Ritz's solvers; those that cannot solve a family leave it out by themselves."""

TWO_PHASE = TwoPhase(low=3, high=12)
JUMPS = TwoPhase(low=1, high=1000)


def _darcy() -> list[Family]:
    goals_128 = (faster(5, "", "best peer"), faster(40, GMRES_ILU, GMRES_ILU))
    goals_256 = (faster(7, "", "best peer"), faster(120, GMRES_ILU, GMRES_ILU))
    goals_48 = (faster(6, "iterative", "best iterative peer"), faster(80, "direct", "best direct peer"))
    goals_jumps = (faster(2, "direct", "best direct peer"), iterations(15))
    found = []
    for cells, count, goals in ((128, 30, goals_128), (256, 12, goals_256)):
        box = (cells, cells)
        found += [
            _of(f"lognormal-{cells}", f"Darcy {cells}², log-normal", Darcy(shape=box), count, goals),
            _of(f"two-phase-{cells}", f"Darcy {cells}², phases 3, 12", Darcy(shape=box, law=TWO_PHASE), count, goals),
        ]
    return [
        *found,
        _of("lognormal-48-3d", "Darcy 48³, log-normal", Darcy(shape=(48, 48, 48)), 8, goals_48),
        _of("contrast-128", "Darcy 128², jumps of 1000", Darcy(shape=(128, 128), law=JUMPS), 30, goals_jumps),
    ]


def _convection() -> list[Family]:
    return [
        _of(
            f"convection-{cells}-{diffusivity}",
            f"convection–diffusion {cells}², ε = {diffusivity}",
            Convection(shape=(cells, cells), diffusivity=diffusivity),
            count,
            (faster(2, "", "best peer"),),
        )
        for cells, count in ((128, 30), (256, 12))
        for diffusivity in (0.1, 0.01, 0.001)
    ]


def _helmholtz() -> list[Family]:
    found = [
        _of(
            f"helmholtz-{k}-{percent}",
            f"Helmholtz 128², k₀ = {k} ± {percent} %",
            Helmholtz(shape=(128, 128), wavenumber=k, variation=percent / 100),
            30,
            (faster(least, "direct", "best direct peer"),),
        )
        for k, percent, least in ((20, 2, 2), (20, 20, 0.95), (40, 10, 0.95))
    ]
    box = Helmholtz(shape=(32, 32, 32), wavenumber=10, variation=0.1)
    goals = (faster(5, "direct", "best direct peer"),)
    return [*found, _of("helmholtz-3d", "Helmholtz 32³, k₀ = 10 ± 10 %", box, 12, goals)]


def _constant() -> list[Family]:
    square = partial(posed, Poisson(shape=(128, 128)))
    return [
        Family("constant-square", "one matrix, square 128²", square, 640, (faster(3, "direct", "factor-once"),), 64),
        Family(
            "constant-plate",
            "one matrix, slotted plate",
            partial(plate, 256),
            192,
            (faster(0.95, "direct", "factor-once"),),
            32,
        ),
    ]


def _of(name: str, title: str, problem: Problem, count: int, goals: tuple[Goal, ...]) -> Family:
    return Family(name, title, partial(posed, problem), count, goals)


FAMILIES = {family.name: family for family in (*_darcy(), *_convection(), *_helmholtz(), *_constant())}
