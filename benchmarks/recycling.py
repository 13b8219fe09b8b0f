"""What a recycled space is worth along sequences of related systems, with the guard and without.

    python -m benchmarks.recycling [--systems 100] [--restart 50] [--recycle 20] [FAMILY ...]

Every family is a sequence as it is drawn and the same systems in the order of `ritz.compute.sampling.order.greedy`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from benchmarks.threads import one_thread
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.problem import Problem
from ritz.compute.problems.spectrum import leading_cosines
from ritz.compute.sampling.order import greedy
from ritz.compute.solvers.assembly import convection_diffusion, diffusion, with_reaction
from ritz.compute.solvers.certify import relative_residual
from ritz.compute.solvers.iterative.guard import Guard
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.iterative.recycler import Recycler
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.systems import Systems

RTOL = 1e-8
SHAPE = (128, 128)
REPEATS = 2
CYCLES = 60
"""Cycles after which a method gives up."""


Posed = tuple[Systems, np.ndarray | None]
"""Systems in the order in which they are drawn, and features to sort them by; None where they come sorted."""


def _problem(problem: Problem, count: int) -> Posed:
    inputs = problem.draw(0, np.arange(count))
    found: list[Systems] = []

    def solve(systems: Systems) -> np.ndarray:
        found.append(systems)
        return np.zeros(systems.rhs.shape)

    problem.simulate(inputs, solve)
    return found[0], problem.features(inputs)


def _gaussian(seed: int, count: int, shape: tuple[int, ...]) -> np.ndarray:
    return Gaussian(tau=3.0, alpha=2.0, modes=64).draw(seed, np.arange(count), shape)


def _ones(operators: Stencil) -> Systems:
    return Systems(operators, np.ones((len(operators), *operators.shape)))


def lognormal(count: int) -> Posed:
    """−∇·(a ∇u) = 1, independent log-normal a, contrast about 100."""
    return _problem(Darcy(shape=SHAPE), count)


def few_parameters(count: int) -> Posed:
    """−∇·(a ∇u) = 1, log a a combination of five cosines with N(0, 0.45²) amplitudes."""
    y, x = (np.pi * (np.arange(cells) + 0.5) / cells for cells in SHAPE)
    waves = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0))
    modes = np.array([np.cos(k * y)[:, None] * np.cos(m * x) for k, m in waves])
    amplitudes = 0.45 * np.random.default_rng(1).standard_normal((count, 5))
    return _ones(diffusion(np.exp(np.einsum("nk,kyx->nyx", amplitudes, modes)))), amplitudes


def slow_walk(count: int) -> Posed:
    """−∇·(a ∇u) = 1, log a Gaussian of unit variance, correlated by 0.999 from step to step."""
    logs = _gaussian(2, count, SHAPE)
    for i in range(1, count):
        logs[i] = 0.999 * logs[i - 1] + (1 - 0.999**2) ** 0.5 * logs[i]
    return _ones(diffusion(np.exp(logs))), None


def constant(count: int) -> Posed:
    """−Δu = f, Gaussian f: one matrix."""
    sources = _gaussian(3, count, SHAPE)
    return Systems(diffusion(np.broadcast_to(1.0, (count, *SHAPE))), sources), leading_cosines(sources)


def helmholtz(count: int) -> Posed:
    """−Δu − k² u = 1 on 64², k Gaussian around 20 with a standard deviation of 7 %."""
    waves = _gaussian(4, count, (64, 64))
    laplacian = diffusion(np.broadcast_to(1.0, waves.shape))
    return _ones(with_reaction(laplacian, -((20 * (1 + 0.07 * waves)) ** 2), definite=False)), leading_cosines(waves)


def contrast(count: int) -> Posed:
    """−∇·(a ∇u) = 1, a = 1 or 1000 by the sign of a Gaussian field."""
    signs = _gaussian(5, count, SHAPE)
    return _ones(diffusion(np.where(signs > 0, 1000.0, 1.0))), leading_cosines(signs)


def convection(count: int) -> Posed:
    """−0.01 Δu + ∇·(v u) = 1, v divergence-free from a Gaussian stream function, root mean square speed 3."""
    ny, nx = SHAPE
    stream = _gaussian(6, count, (ny + 1, nx + 1))
    across_y, across_x = np.diff(stream, axis=2) * nx, -np.diff(stream, axis=1) * ny
    speed = np.sqrt((across_y**2).mean(axis=(1, 2)) + (across_x**2).mean(axis=(1, 2)))[:, None, None] / 3
    return _ones(convection_diffusion(0.01, (across_y / speed, across_x / speed))), leading_cosines(stream)


FAMILIES: dict[str, Callable[[int], Posed]] = {
    "lognormal": lognormal,
    "few-parameters": few_parameters,
    "slow-walk": slow_walk,
    "constant": constant,
    "helmholtz": helmholtz,
    "contrast": contrast,
    "convection": convection,
}


@dataclass
class Lane:
    """A method on a sequence: its solver, the systems in its order, whether it carries, and what came of it."""

    name: str
    solver: Sequential
    order: np.ndarray
    carries: bool
    carry: Any = None
    """What the next system is solved with; stays as it is if the lane does not carry."""
    iterations: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    missed: int = 0
    started_from_the_carry: int = 0

    def step(self, systems: Systems, i: int) -> None:
        """Solve the system that is number ``i`` in the order of this lane."""
        at = int(self.order[i])
        seconds = []
        for _ in range(REPEATS):
            start = time.process_time()
            attempt, carry = self.solver.attempt(systems, at, rtol=RTOL, carry=self.carry)
            seconds.append(time.process_time() - start)
        self.seconds.append(min(seconds))
        self.iterations.append(attempt.iterations)
        x = np.full(systems.rhs[at].size, np.nan) if attempt.x is None else attempt.x
        self.missed += not relative_residual(systems.operators, at, x, systems.rhs[at].ravel()) <= RTOL
        if self.carries:
            self.carry = carry
            self.started_from_the_carry += carry.carried


def measure(family: Callable[[int], Posed], count: int, restart: int, recycle: int) -> list[Lane]:
    """Solve a family with all methods, one system of each in turn."""
    systems, features = family(count)
    drawn = np.arange(count)
    ordered = drawn if features is None else greedy(features)
    guarded = Recycled(restart=restart, recycle=recycle, guard=True, maxiter=CYCLES)
    plain = guarded.model_copy(update={"guard": False})
    lanes = [
        Lane(f"GMRES({restart})", Krylov(restart=restart, maxiter=CYCLES * restart), ordered, False),
        # A guard at rest: without it every solve would be followed by making a space for the next one.
        Lane("no carry", guarded, ordered, False, Recycler(guard=Guard(phase="rest", left=2))),
        Lane("carry, as drawn", plain, drawn, True),
        Lane("carry, sorted", plain, ordered, True),
        Lane("guard, sorted", guarded, ordered, True),
    ]
    for lane in lanes:
        lane.solver.attempt(systems, 0, rtol=RTOL, carry=None)
    for i in range(count):
        # Who is first in a round finds the caches of the machine in another state: everybody is in turn.
        for j in range(len(lanes)):
            lanes[(i + j) % len(lanes)].step(systems, i)
    return lanes


def table(lanes: list[Lane]) -> list[str]:
    """Print what was measured; ratios are of total times, above 1 where a method beats the solver without carry."""
    cold = next(lane for lane in lanes if lane.name == "no carry")
    lines = ["method              mean its    median ms   total s   its/cold   × cold   carried   missed"]
    for lane in lanes:
        total, its = sum(lane.seconds), float(np.mean(lane.iterations))
        lines.append(
            f"{lane.name:18s} {its:9.1f} {1e3 * float(np.median(lane.seconds)):12.1f} {total:9.2f} "
            f"{its / float(np.mean(cold.iterations)):10.2f} {sum(cold.seconds) / total:8.2f} "
            f"{lane.started_from_the_carry:9d} {lane.missed:8d}"
        )
    return lines


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", choices=[*FAMILIES, []])
    parser.add_argument("--systems", type=int, default=100)
    parser.add_argument("--restart", type=int, default=50)
    parser.add_argument("--recycle", type=int, default=20)
    asked = parser.parse_args()
    versions = " ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "numba"))
    command = " ".join(["python -m benchmarks.recycling", *sys.argv[1:]])
    print(f"{command}  # {datetime.now(UTC):%Y-%m-%d}, python {sys.version.split()[0]} {versions}, one thread")
    size = f"({asked.restart}, {asked.recycle})"
    print(
        f"""N = {asked.systems} systems a family; GCRO-DR{size} and GMRES({asked.restart}), ILU(0) of every system;
true relative residual {RTOL:g}; given up after {CYCLES} cycles. Methods take turns system by system; every solve is
done {REPEATS} times from the same state and the quicker one counts, in CPU time of this process, which has one thread:
what else the machine does then counts little. its/cold: mean iterations over those without carry; × cold: total time
without carry over that of the method; carried: systems that started from the carried space; missed: systems that
stopped above the tolerance. sorted: greedy nearest neighbour; the slow walk comes sorted."""
    )
    for name in asked.families or FAMILIES:
        family = FAMILIES[name]
        print(f"\n{name}: {family.__doc__}")
        print("\n".join(table(measure(family, asked.systems, asked.restart, asked.recycle))), flush=True)


if __name__ == "__main__":
    one_thread()
    main()
