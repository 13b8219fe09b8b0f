"""The sequences of systems that the solvers are compared on, and what is to be shown on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.goals import GMRES_ILU, Goal, faster, iterations
from ritz.compute.problems.acoustic import Acoustic
from ritz.compute.problems.convection import Convection
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.problems.laws import TwoPhase
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.poisson import Poisson
from ritz.compute.problems.problem import Problem
from ritz.compute.sampling.order import greedy
from ritz.compute.simulation.posing import first_systems
from ritz.compute.solvers.systems import Systems

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
    problem
        Draws and poses the systems.
    count
        How many are solved.
    goals
        What is to be shown.
    together
        How many right-hand sides of one matrix are handed over at once.
    """

    name: str
    title: str
    problem: Problem
    count: int
    goals: tuple[Goal, ...]
    together: int = 1


def posed(problem: Problem, count: int) -> Systems:
    """Return the systems of the first samples of a steady problem, in the order in which a run would solve them."""
    inputs = problem.draw(SEED, np.arange(count))
    order = greedy(problem.features(inputs))
    systems = first_systems(problem, {name: field[order] for name, field in inputs.items()})
    assert systems is not None
    return systems


SOLVERS: tuple[dict[str, Any], ...] = (
    {"kind": "multigrid"},
    {"kind": "transform"},
    *({"kind": "direct", "library": library} for library in ("superlu", "pardiso", "cholmod")),
    {"kind": "krylov", "method": "cg", "preconditioner": "icc"},
    {"kind": "krylov", "method": "bicgstab", "preconditioner": "ilu"},
    {"kind": "recycled"},
)
"""Recipes of Ritz's solvers; those that cannot solve a family are left out by what they say of it."""

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
            Family(f"lognormal-{cells}", f"Darcy {cells}², log-normal", Darcy(shape=box), count, goals),
            Family(
                f"two-phase-{cells}", f"Darcy {cells}², phases 3, 12", Darcy(shape=box, law=TWO_PHASE), count, goals
            ),
        ]
    return [
        *found,
        Family("lognormal-48-3d", "Darcy 48³, log-normal", Darcy(shape=(48, 48, 48)), 8, goals_48),
        Family("contrast-128", "Darcy 128², jumps of 1000", Darcy(shape=(128, 128), law=JUMPS), 30, goals_jumps),
    ]


def _convection() -> list[Family]:
    return [
        Family(
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
        Family(
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
    return [*found, Family("helmholtz-3d", "Helmholtz 32³, k₀ = 10 ± 10 %", box, 12, goals)]


def _acoustic() -> list[Family]:
    # The family of the recipe ``acoustic``, where recycling is to win; nobody promised by how much.
    return [Family("acoustic", "sound in 28³, k₀ = 9", Acoustic(shape=(28, 28, 28)), 24, ())]


def _constant() -> list[Family]:
    square, plate = Poisson(shape=(128, 128)), Plate(cells=168)
    at_least = faster(3, "direct", "factor-once"), faster(0.95, "direct", "factor-once")
    return [
        Family("constant-square", "one matrix, square 128²", square, 10 * 64, at_least[:1], 64),
        Family("constant-plate", "one matrix, slotted plate", plate, 6 * 32, at_least[1:], 32),
    ]


FAMILIES = {family.name: family for family in (*_darcy(), *_convection(), *_helmholtz(), *_acoustic(), *_constant())}
