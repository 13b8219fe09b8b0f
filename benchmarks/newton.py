"""Damped Newton steps, and descent in a Sobolev space, on energies and on the equations of problems.

    python -m benchmarks.newton > benchmarks/newton.txt                            # about 5 minutes on one core

Nothing is timed. Energies: f(x_k) − f* against the step k; f* is that of 40 further whole steps.
"""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np
import scipy

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.problems.box.cell_energy import CellEnergy
from ritz.compute.problems.elliptic import Elliptic
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.iterated import Iterated
from ritz.compute.problems.laws import Lognormal, TwoPhase
from ritz.compute.problems.problem import Arrays
from ritz.compute.problems.variational import Variational
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.minimisers.damped_newton import DampedNewton
from ritz.compute.solvers.minimisers.energy import Energy
from ritz.compute.solvers.minimisers.sobolev_descent import SobolevDescent
from ritz.compute.solvers.newton import newton
from ritz.compute.solvers.operators import Matrices, Operators, Pattern
from ritz.compute.solvers.preconditioners.icc import ICC
from ritz.compute.solvers.scaling import norm, norms
from ritz.compute.solvers.solver import Solver
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.transform.transform import Transform

LOCAL = 0.1
"""The local phase begins with the first step that takes more than this of f − f* away but for a tenth."""

SIGMAS = (2.0**-24, 8.0, 32.0, 64.0, 128.0, 256.0)
"""Smoothnesses among which the best one is taken in hindsight."""

SLOPE = -2.5
"""Goal for the slopes of energies, before steps are whole."""

SAMPLES = 48
PLAIN_STEPS = 4000

FIRST, LAST = 1e-2, 1e-9
"""Errors between which a descent in a Sobolev space has its slope."""

LAWS = {
    "recipe": Elliptic(shape=(32, 32)),
    "σ = 1": Elliptic(shape=(32, 32), law=Lognormal(sigma=1.0)),
    "σ = 2": Elliptic(shape=(32, 32), law=Lognormal(sigma=2.0)),
    "hot: strength 1e5": Elliptic(shape=(32, 32), strength=1e5),
    "cubic: β = 1e6": Elliptic(shape=(32, 32), growth=1e6),
    "phases of contrast 1000, strength 1e4": Elliptic(shape=(32, 32), law=TwoPhase(low=1, high=1000), strength=1e4),
}

WAVES = {
    "recipe": Burgers(points=128, steps=32),
    "ν = 0.001, 8 steps": Burgers(points=64, viscosity=0.001, steps=8),
    "ν = 0.001, 3 steps": Burgers(points=64, viscosity=0.001, steps=3),
    "ν = 0.0003, 16 steps": Burgers(points=64, viscosity=0.0003, steps=16),
    "ν = 0.0001, amplitude 5, 1 step": Burgers(points=64, viscosity=1e-4, amplitude=5.0, steps=1),
}


@dataclass
class LogSumExp(Energy):
    """ρ log Σ exp((⟨a_i, x⟩ − b_i)/ρ) + μ/2 ‖x‖², one sample."""

    size: int = 200
    terms: int = 1000
    rho: float = 1.0
    mu: float = 1e-3
    pattern: Pattern = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        self.a = rng.uniform(-1, 1, (self.terms, self.size))
        self.b = rng.uniform(-1, 1, self.terms)
        self.pattern = Matrices.pattern_of(scipy.sparse.csr_array(np.ones((self.size, self.size))))

    def _weights(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        given = (self.a @ x - self.b) / self.rho
        most = given.max()
        weights = np.exp(given - most)
        return float(most + np.log(weights.sum())), weights / weights.sum()

    def value(self, x: np.ndarray) -> np.ndarray:
        return np.array([self.rho * self._weights(row)[0] + 0.5 * self.mu * row @ row for row in x])

    def gradient(self, x: np.ndarray) -> np.ndarray:
        return np.stack([self._weights(row)[1] @ self.a + self.mu * row for row in x])

    def hessian(self, x: np.ndarray) -> Operators:
        found = []
        for row in x:
            _, w = self._weights(row)
            mean = w @ self.a
            matrix = ((self.a.T * w) @ self.a - np.outer(mean, mean)) / self.rho + self.mu * np.eye(self.size)
            found.append((0.5 * (matrix + matrix.T)).ravel())
        return Matrices(np.array(found), self.pattern, (self.size,), symmetric=True, definite=True)


@dataclass
class Watched(Energy):
    """An energy that keeps the places where a method takes its steps."""

    inner: Energy
    places: list[np.ndarray] = field(default_factory=list)

    def value(self, x: np.ndarray) -> np.ndarray:
        return self.inner.value(x)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        return self.inner.gradient(x)

    def hessian(self, x: np.ndarray) -> Operators:
        self.places.append(x)
        return self.inner.hessian(x)

    def metric(self) -> Operators:
        return self.inner.metric()


def solve(systems: Systems) -> np.ndarray:
    return Direct(library="superlu").solve(systems, rtol=1e-10)[0].x


def local(gaps: np.ndarray) -> int:
    """Return how many of the gaps f − f* lie before the local phase, of those after the start."""
    ratios = gaps[1:] / gaps[:-1]
    quick = np.flatnonzero(ratios < LOCAL)
    return int(quick[0]) + 1 if len(quick) else len(gaps)


def slope_of(gaps: np.ndarray, first: int, last: int) -> float:
    """Return the slope of log(f − f*) against log k over some places; the start has k = 1."""
    k = np.arange(1, len(gaps) + 1)[first:last]
    return float(np.polyfit(np.log(k), np.log(gaps[first:last]), 1)[0]) if len(k) > 2 else np.nan


def rates() -> list[str]:
    """Damped Newton on two energies, with backtracking and with several given smoothnesses."""
    grid = (np.arange(32) + 0.5) / 32
    bump = np.sin(np.pi * grid)[:, None] * np.sin(np.pi * grid)
    energies: dict[str, tuple[Energy, np.ndarray]] = {
        **{f"log-sum-exp, n = 200, ρ = {rho}": (LogSumExp(rho=rho), np.ones((1, 200))) for rho in (1.0, 0.25, 0.1)},
        "p-Laplace, p = 4, 32²": (
            CellEnergy(np.full((1, 32, 32), 1e-6), np.ones((1, 32, 32)), 1.0),
            20 * bump[None] * np.sign(bump - 0.5),
        ),
    }
    lines = []
    for name, (energy, begun) in energies.items():
        tried = (None, 0.0, *SIGMAS)
        found = {sigma: gaps_of(energy, begun, DampedNewton(smoothness=sigma, steps=300)) for sigma in tried}
        falling = [sigma for sigma in SIGMAS if found[sigma][1] and np.all(np.diff(found[sigma][0]) < 0)]
        known = {f"known σ = {sigma:g}": sigma for sigma in sorted(falling, key=lambda s: len(found[s][0]))[:1]}
        for said, sigma in {"backtracking": None, "whole steps": 0.0, **known}.items():
            gaps, came = found[sigma]
            before, rises = local(gaps), int(np.sum(np.diff(gaps) > 0))
            slopes = [slope_of(gaps, first, before) for first in (0, before // 2)]
            goal = "met" if slopes[0] <= SLOPE else "last half alone" if slopes[1] <= SLOPE else "NOT MET"
            steps = f"{len(gaps) - 1}{'' if came else ' lost'}"
            lines.append([name, said, steps, str(before), *(f"{one:.2f}" for one in slopes), str(rises), goal])
    columns = ["energy", "parts of steps", "steps", "before the local phase", "slope", "of the last half", "rises"]
    return align([*columns, f"goal: ≤ {SLOPE}"], lines)


def gaps_of(energy: Energy, begun: np.ndarray, method: DampedNewton) -> tuple[np.ndarray, bool]:
    """Return f − f* before every step and at the end, down to rounding, and whether the method came there."""
    size = norms(energy.gradient(begun))
    best, _ = DampedNewton(steps=300).minimise(energy, begun, solve, bound=1e-13 * size)
    watched = Watched(energy)
    with np.errstate(all="ignore"):
        x, lost = method.minimise(watched, begun, solve, bound=1e-9 * size)
        gaps = np.array([energy.value(place)[0] for place in [*watched.places, x]]) - energy.value(best)[0]
    rounding = gaps <= 1e-13 * gaps[0]
    return (gaps[: np.argmax(rounding)] if rounding.any() else gaps), not lost[0]


def solvers() -> list[str]:
    """The Newton systems of one family by several solvers, each with its carry."""
    problem = Variational(shape=(64, 64))
    inputs = problem.draw(0, np.arange(8))
    lines = []
    for name, solver in (
        ("direct", Direct(library="superlu")),
        ("CG, incomplete Cholesky", Krylov(method="cg", preconditioner=ICC())),
        ("GCRO-DR, incomplete Cholesky", Recycled(preconditioner=ICC())),
    ):
        carry, batches, iterations = None, 0, 0

        def answer(systems: Systems, solver: Solver = solver) -> np.ndarray:
            nonlocal carry, batches, iterations
            solutions, carry = solver.solve(systems, rtol=1e-8, carry=carry)
            batches, iterations = batches + 1, iterations + sum(solutions.ledger["iterations"])
            return solutions.x

        u = problem.simulate(inputs, answer)
        lines.append([name, str(batches), f"{iterations / 8:.0f}", f"{problem.residual(inputs, u).max():.0e}"])
    return align(["solver", "batches", "iterations per sample", "residual"], lines)


def former(
    left_over: Callable[[np.ndarray], np.ndarray],
    linearised: Callable[[np.ndarray], tuple[Operators, np.ndarray | float]],
    x: np.ndarray,
    solve: Callable[[Systems], np.ndarray],
    *,
    bound: np.ndarray,
    steps: int,
    whole: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method as it was before: halved sample by sample until ‖F‖ falls, or in whole steps."""
    lost = np.zeros(len(x), dtype=bool)
    for _ in range(steps):
        left = left_over(x)
        wanted = (norms(left) > bound) & ~lost
        if not wanted.any():
            break
        operators, weight = linearised(x)
        change = weight * solve(Systems(operators, np.where(wanted.reshape(-1, *(1,) * (x.ndim - 1)), left, 0.0)))
        if whole:
            x = x + change
            continue
        x = x.copy()
        for i in np.flatnonzero(wanted):
            for halvings in range(30):
                there = x.copy()
                there[i] += 0.5**halvings * change[i]
                if norm(left_over(there)[i].ravel()) <= (1 - 1e-4 * 0.5**halvings) * norm(left[i].ravel()):
                    x = there
                    break
            else:
                lost[i] = True
    return x, lost | ~(norms(left_over(x)) <= bound)


def counted(problem: Iterated, method: Callable[..., tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return how many systems each sample wanted solved, and which samples are lost."""
    inputs, wanted = problem.draw(0, np.arange(SAMPLES)), np.zeros(SAMPLES, dtype=int)

    def answer(systems: Systems) -> np.ndarray:
        nonlocal wanted
        wanted += systems.rhs.reshape(SAMPLES, -1).any(axis=1)
        return Direct(library="superlu").solve(systems, rtol=1e-8)[0].x

    with patch(f"{type(problem).__module__}.newton", method), np.errstate(all="ignore"):
        u = problem.simulate(inputs, answer)["u"]
    return wanted, ~np.isfinite(u.reshape(SAMPLES, -1)).all(axis=1)


def elliptic() -> list[str]:
    lines = []
    for name, problem in LAWS.items():
        (then, lost_then), (now, lost_now) = counted(problem, former), counted(problem, newton)
        more, lost = int(np.sum(now > then)), f"{lost_then.sum()}, {lost_now.sum()}"
        lines.append([name, f"{then.mean():.2f}", f"{now.mean():.2f}", str(now.max()), str(more), lost])
    return align(["Elliptic", "steps before", "now", "most", "samples with more", "lost before, now"], lines)


def burgers() -> list[str]:
    def halved(*args: Any, **kwargs: Any) -> tuple[np.ndarray, np.ndarray]:
        return newton(*args, **{**kwargs, "whole": False})

    lines = []
    for name, problem in WAVES.items():
        found = [counted(problem, method) for method in (former, halved, newton)]
        kept = ~np.any([lost for _, lost in found], axis=0)
        steps = [f"{wanted[kept].mean() / problem.steps:.2f}" if kept.any() else "–" for wanted, _ in found]
        again = str(int(np.sum(found[2][1] & ~found[0][1])))
        lines.append([name, *(f"{lost.sum()}" for _, lost in found), again, *steps])
    ways = ["before", "halved", "now"]
    columns = ["Burgers", *(f"lost {way}" for way in ways), "lost now alone", *(f"its {way}" for way in ways)]
    return align(columns, lines, left=(0,))


def line(errors: np.ndarray) -> tuple[float, float]:
    """Return the slope of log error per step, and R² of the straight line."""
    k, logs = np.arange(len(errors)), np.log(errors)
    fit = np.polyfit(k, logs, 1)
    return float(fit[0]), float(1 - np.var(logs - np.polyval(fit, k)) / np.var(logs))


def descents() -> list[str]:
    laws = {"a = 1": Lognormal(sigma=1e-9), "the recipe's a": Variational().law}
    lines: list[list[str]] = []
    found: dict[tuple[str, str, int], float] = {}
    for method, law, grids in (
        ("Sobolev", "a = 1", (32, 64, 128)),
        ("Sobolev", "the recipe's a", (32, 64, 128)),
        ("plain", "a = 1", (32, 64, 128)),
    ):
        for n in grids:
            problem = Variational(shape=(n, n), law=laws[law])
            inputs = {key: values.astype(np.float64) for key, values in problem.draw(0, np.arange(1)).items()}
            best = problem.model_copy(update={"tolerance": 1e-12}).simulate(inputs, solve)["u"]
            plain = method == "plain"
            errors, x = (descended if plain else followed)(problem, inputs, best)
            straight = errors[PLAIN_STEPS // 2 :] if plain else errors[(errors < FIRST) & (errors > LAST)]
            rate, r2 = line(straight)
            found[method, law, n] = rate
            change = "" if n == grids[0] else f"{rate / found[method, law, n // 2]:.3f}"
            apart = "" if plain else f"{np.abs(x - best).max() / np.abs(best).max():.0e}"
            ratio = float(change or (0.25 if plain else 1.0))
            good = abs(ratio - 0.25) < 0.1 if plain else abs(ratio - 1) < 0.1 and r2 > 0.99 and float(apart) < 1e-8
            row = [method, law, f"{n}²", str(len(errors) - (not plain)), f"{rate:.3e}", f"{r2:.5f}", change, apart]
            lines.append([*row, "met" if good else "NOT MET"])
    columns = ["descent", "stiffness", "grid", "steps", "slope", "R²", "of the coarser", "from Newton's", "goal"]
    return align(columns, lines, left=(0, 1))


def followed(problem: Variational, inputs: Arrays, best: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the relative L² errors before every step in the Sobolev space and at its end, and where it ends."""
    errors: list[float] = []
    size = np.linalg.norm(best)

    class Followed(CellEnergy):
        """Keeps the place that was evaluated last: there the next gradient is posed."""

        at = np.zeros_like(best)

        def value(self, u: np.ndarray) -> np.ndarray:
            self.at = u
            return super().value(u)

    energy = Followed(inputs["a"], inputs["f"], problem.stiffening)

    def answer(systems: Systems) -> np.ndarray:
        errors.append(float(np.linalg.norm(energy.at - best) / size))
        return Transform().solve(systems, rtol=1e-10)[0].x

    x, _ = SobolevDescent().minimise(energy, np.zeros_like(best), answer, bound=1e-10 * norms(inputs["f"]))
    errors.append(float(np.linalg.norm(x - best) / size))
    return np.array(errors), x


def descended(problem: Variational, inputs: Arrays, best: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the same of plain gradient descent, by steps of one over the largest curvature at the minimum."""
    energy = problem.energy(inputs)
    largest = scipy.sparse.linalg.eigsh(energy.hessian(best).csr(0), k=1, return_eigenvectors=False)[0]
    errors, x = [], np.zeros_like(best)
    for _ in range(PLAIN_STEPS):
        errors.append(float(np.linalg.norm(x - best) / np.linalg.norm(best)))
        x = x - energy.gradient(x) / largest
    return np.array(errors), x


SAID = """
Energies. slope: of log(f − f*) against log k over the places before the local phase, which begins with the first step
that leaves less than a tenth of f − f*, and over their last half; the start has k = 1. rises: steps after which f is
larger. known σ: of steps by parts 1/(1 + σ λ^⅔), none tried, of 2⁻²⁴, 8, 32, 64, 128, 256 the σ of the fewest steps
with which f never rises. log-sum-exp: 1000 terms, μ = 0.001, from x = 1; p-Laplace: ∫ ½ 1e-6 |∇u|² + ¼ |∇u|⁴ − u,
from waves of height 20. At most 300 steps. Solvers: all Newton systems of 8 samples of `Variational`, 64², by one
solver with its carry. Elliptic: systems per sample of 48 samples, 32², before (halved sample by sample) and now
(block by block). Burgers: 48 samples; before: whole steps; halved: from the first step on; now: whole steps, and
halved ones for samples that they lose; its: iterations per time step of the samples that none loses. Descents: on
`Variational` as in its recipe, with its random stiffness or none, one sample, slope of the natural logarithm of the
L² error per step: in the Sobolev space between errors of 1e-2 and 1e-9, plain, by steps of one over the largest
curvature, over the last half of 4000. Goals: R² > 0.99, a slope within 10 % of that on the coarser grid, the same
minimum as Newton's to 1e-8; plain: about a quarter of the coarser.
"""


def main() -> None:
    one_thread()
    print("\n".join(provenance(shlex.join(["python", "-m", "benchmarks.newton", *sys.argv[1:]]))))
    print("\n" + textwrap.fill(" ".join(SAID.split()), 118))
    for part in (rates, solvers, elliptic, burgers, descents):
        print("\n" + "\n".join(part()), flush=True)


if __name__ == "__main__":
    main()
