"""What a solver that tunes itself takes beside the best fixed setting in hindsight, in work.

    python -m benchmarks.tuned > benchmarks/tuned.txt
    python -m benchmarks.tuned --part sor --seeds 1

SOR on a shifted Poisson equation is the setting of Khodak et al., "Learning to Relax", ICLR 2024; problem and solver
are classes of this file. Work is counted, not clocked (`ritz.compute.solvers.solver.Attempt.work`), so a busy machine
changes nothing.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numba
import numpy as np
import xarray as xr
from pydantic import Field

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.compute.fields.arrays import Array, padded
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.laws import Lognormal
from ritz.compute.problems.problem import Arrays, Problem, Solve
from ritz.compute.simulation.posing import first_systems
from ritz.compute.solvers.factorization.elimination import Elimination
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.preconditioners.icc import ICC
from ritz.compute.solvers.preconditioners.ilu import ILU
from ritz.compute.solvers.preconditioners.ssor import SSOR
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.solver import Attempt
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.tuning.policy import Policy, TsallisInf, UpperBound
from ritz.compute.solvers.tuning.tuned import Tuned
from ritz.storage.store import Store
from ritz.tasks.generation.dispatch import dispatch
from ritz.tasks.generation.generate import generate
from ritz.tasks.generation.learning import learnt_key, tuning
from ritz.tasks.pipeline import Data, Pipeline
from ritz.tasks.recipes import load

log = logging.getLogger("benchmarks")

RTOL = 1e-8

POLICIES: dict[str, Policy] = {
    "upper bound": UpperBound(),
    "with context": UpperBound(context=True),
    "Tsallis-INF": TsallisInf(),
}


class ShiftedPoisson(Problem):
    """4 u − (u of the four neighbours) + c u = f on n × n points, u = 0 around them; log c uniform, f white noise."""

    kind: Literal["shifted_poisson"] = "shifted_poisson"
    points: int = Field(24, gt=1)
    low: float = Field(1e-3, gt=0)
    high: float = Field(2.0, gt=0)

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples."""
        nothing = np.broadcast_to(np.float32(np.nan), (n, self.points, self.points))
        about = {"transform": "identity", "units": "1"}
        return xr.Dataset(
            {
                "c": (("sample",), nothing[:, 0, 0], about | {"role": "input", "long_name": "shift"}),
                "f": (("sample", "y", "x"), nothing, about | {"role": "input", "long_name": "source"}),
                "u": (("sample", "y", "x"), nothing, about | {"role": "output", "long_name": "solution"}),
            }
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw shifts and sources."""
        rngs = [np.random.default_rng([seed, int(sample)]) for sample in ids]
        c = [np.exp(rng.uniform(np.log(self.low), np.log(self.high))) for rng in rngs]
        f = [rng.standard_normal((self.points, self.points)) for rng in rngs]
        return {"c": np.array(c, np.float32), "f": np.array(f, np.float32)}

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return log c."""
        return np.log(inputs["c"])[:, None]

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Solve one system per sample."""
        f, n = inputs["f"].astype(np.float64), self.points
        coefficients = np.full((len(f), 5, n, n), -1.0)
        coefficients[:, 0] = 4 + inputs["c"].astype(np.float64)[:, None, None]
        coefficients[:, 1, 0] = coefficients[:, 2, -1] = 0
        coefficients[:, 3, :, 0] = coefficients[:, 4, :, -1] = 0
        return {"u": solve(Systems(Stencil(coefficients, symmetric=True, definite=True), f))}

    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return A u − f."""
        return {"u": self._applied(inputs, fields["u"], -1) - inputs["f"]}

    def scale(self, inputs: Mapping[str, Array]) -> Array:
        """Return ‖f‖."""
        return (inputs["f"] ** 2).sum((1, 2)) ** 0.5

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ‖|A| |u|‖ / ‖f‖."""
        total = self._applied(inputs, abs(fields["u"].astype(np.float64)), 1)
        return np.asarray(np.linalg.norm(total, axis=(1, 2)) / np.linalg.norm(inputs["f"], axis=(1, 2)))

    def _applied(self, inputs: Mapping[str, Any], u: Any, sign: int) -> Any:
        around = padded(padded(u, axis=-1), axis=-2)
        beside = around[:, 2:, 1:-1] + around[:, :-2, 1:-1] + around[:, 1:-1, 2:] + around[:, 1:-1, :-2]
        return (4 + inputs["c"][:, None, None]) * u + sign * beside


@numba.njit
def sweep(c: np.ndarray, b: np.ndarray, omega: float, x: np.ndarray) -> float:
    """Do a sweep of SOR over the padded ``x``; return the sum of squares of the residuals met on the way."""
    total = 0.0
    for i in range(b.shape[0]):
        for j in range(b.shape[1]):
            beside = c[1, i, j] * x[i, j + 1] + c[2, i, j] * x[i + 2, j + 1]
            beside += c[3, i, j] * x[i + 1, j] + c[4, i, j] * x[i + 1, j + 2]
            r = b[i, j] - c[0, i, j] * x[i + 1, j + 1] - beside
            total += r * r
            x[i + 1, j + 1] += omega * r / c[0, i, j]
    return total


@numba.njit
def sweeps(c: np.ndarray, b: np.ndarray, omega: float, x: np.ndarray, enough: float, most: int) -> int:
    """Sweep until the residuals that a sweep meets are small enough; return how many sweeps that took."""
    for k in range(most):
        if sweep(c, b, omega, x) <= enough * enough:
            return k + 1
    return most


class SOR(Sequential):
    """Successive over-relaxation of plane stencils."""

    kind: Literal["sor"] = "sor"
    omega: float = Field(1.0, gt=0, lt=2)
    maxiter: int = Field(20_000, ge=1)

    def attempt(self, systems: Systems, i: int, *, rtol: float, carry: Any) -> tuple[Attempt, Any]:
        """Answer one system."""
        operators, b = systems.operators, systems.rhs[i]
        assert isinstance(operators, Stencil)
        x, done = np.zeros((b.shape[0] + 2, b.shape[1] + 2)), 0
        size, residual = float(np.linalg.norm(b)), np.inf
        while residual > rtol * size and done < self.maxiter:
            enough = min(0.9, rtol * size / residual) * rtol * size if done else rtol * size
            done += sweeps(operators.coefficients[i], b, self.omega, x, enough, self.maxiter - done)
            residual = operators.residual(i, x[1:-1, 1:-1], b)[0]
        return Attempt(x[1:-1, 1:-1].ravel(), done, done, residual=residual / size, work=10.0 * done), carry


def fixed(arms: Sequence[Sequential], systems: Systems) -> np.ndarray:
    """Return the work of every arm on every system, ``(systems, arms)``, that of elimination added where it missed."""
    elimination = Elimination()
    missed = elimination.work(elimination.chosen(systems.operators), systems.operators)
    work = np.empty((len(systems), len(arms)))
    for a, arm in enumerate(arms):
        for i in range(len(systems)):
            attempt, _ = arm.attempt(systems, i, rtol=RTOL, carry=None)
            assert attempt.work is not None
            work[i, a] = attempt.work + (missed if attempt.reason else 0.0)
    return work


def played(arms: Sequence[Sequential], policy: Policy, systems: Systems) -> np.ndarray:
    """Return the work of each system of a sequence that a tuned solver answers, ``(systems,)``."""
    solver, carry, spent = Tuned(arms=tuple(arms), policy=policy), None, [0.0]
    for i in range(len(systems)):
        _, carry = solver.solve(systems.take(slice(i, i + 1)), rtol=RTOL, carry=carry)
        spent.append(float(carry.own.work.sum()))
    return np.diff(spent)


@dataclass(frozen=True)
class Part:
    """A sequence of systems and the arms for it."""

    title: str
    arms: tuple[Sequential, ...]
    systems: Callable[[int], Systems]
    goals: Mapping[str, tuple[str, float]]
    """By policy: which column, and the largest ratio in it."""


def cg(omega: float) -> Krylov:
    """Return conjugate gradients with SSOR."""
    return Krylov(method="cg", preconditioner=SSOR(omega=omega))


def steady(problem: Problem, seed: int, count: int) -> Systems:
    """Return the systems of some samples as they are drawn."""
    found = first_systems(problem, problem.draw(seed, np.arange(count)))
    assert found is not None
    return found


DARCY = Darcy(shape=(48, 48), law=Lognormal(sigma=1.5))
COUNT = 400


def shifted(seed: int) -> Systems:
    """Return those of Darcy with a shift of the diagonal, log-uniform in 1 … 10⁵, as of time steps of many lengths."""
    systems = steady(DARCY, seed, COUNT)
    shifts = 10 ** np.random.default_rng(seed).uniform(0, 5, COUNT)
    coefficients = np.array(systems.operators.coefficients)  # type: ignore[attr-defined]  # they are stencils
    coefficients[:, 0] += shifts[:, None, None]
    return Systems(Stencil(coefficients, symmetric=True, definite=True), systems.rhs)


OMEGAS = np.linspace(1, 1.88, 12).round(2).tolist()
ARMS = tuple(cg(omega) for omega in OMEGAS)

PARTS = {
    "sor": Part(
        "SOR, shifted Poisson 24², c log-uniform in 10⁻³ … 2, 15 ω in 1 … 1.93, T = 1000",
        tuple(SOR(omega=omega) for omega in np.linspace(1, 1.9333, 15).round(4)),
        lambda seed: steady(ShiftedPoisson(), seed, 1000),
        {"upper bound": ("all", 1.10), "with context": ("second half", 0.85)},
    ),
    "darcy": Part(
        "CG with SSOR, Darcy 48², σ = 1.5, 12 ω in 1 … 1.88, T = 400",
        ARMS,
        lambda seed: steady(DARCY, seed, COUNT),
        {"upper bound": ("all", 1.05)},
    ),
    "shifts": Part(
        "the same with shifts, log-uniform in 1 … 10⁵",
        ARMS,
        shifted,
        {"with context": ("second half", 0.98)},
    ),
}

COLUMNS = ("seed", "policy", "all", "second half", "of ω = 1", "quarters of regret", "goal", "")
RATIOS = COLUMNS[2:5]


def measured(part: Part, seed: int) -> dict[str, np.ndarray]:
    """Return by policy the three ratios and the regret in each quarter, ``(7,)``; first of the best for each system."""
    systems = part.systems(seed)
    work = fixed(part.arms, systems)
    half, best = len(work) // 2, work[:, work.sum(0).argmin()]
    spent = {"best ω for each system": work.min(1)} | {
        name: played(part.arms, policy, systems) for name, policy in POLICIES.items()
    }
    quarters = np.array_split(np.arange(len(work)), 4)
    return {
        name: np.array(
            [
                taken.sum() / best.sum(),
                taken[half:].sum() / work[half:].sum(0).min(),
                taken.sum() / work[:, 0].sum(),
                *(taken[rows].sum() / best[rows].sum() - 1 for rows in quarters),
            ]
        )
        for name, taken in spent.items()
    }


def lines(part: Part, seeds: Sequence[int]) -> list[list[str]]:
    """Return a row per seed and policy, and one per policy of the means."""
    found: dict[str, dict[str, np.ndarray]] = {str(seed): measured(part, seed) for seed in seeds}
    if len(seeds) > 1:
        found["mean"] = {name: np.mean([one[name] for one in found.values()], axis=0) for name in found[str(seeds[0])]}
    rows = []
    for seed, by_policy in found.items():
        for name, values in by_policy.items():
            column, goal = part.goals.get(name, ("", np.inf))
            met = column and values[RATIOS.index(column)] <= goal
            rows.append(
                [
                    seed,
                    name,
                    *(f"{value:.3f}" for value in values[:3]),
                    " ".join(f"{value:+.0%}" for value in values[3:]),
                    f"{column} ≤ {goal:.2f}" if column else "",
                    ("met" if met else "NOT MET") if column else "",
                ]
            )
    return rows


def over_shards(seed: int) -> list[str]:
    """Return how much work a generation over 25 shards and 2 workers takes in relation to one sequence."""
    solver = Tuned(arms=ARMS)
    pipeline = Pipeline(name="tuned", problem=DARCY, data=Data(samples=COUNT, shard=16, seed=seed), solver=solver)
    with tempfile.TemporaryDirectory() as folder, Local(solve=Role(count=2)).open(("solve",)) as cluster:
        generate.fn(pipeline, folder, cluster)
        found = tuning(Store(folder), learnt_key(pipeline), solver)
    assert found is not None
    assert found.systems == COUNT
    shards = np.arange(COUNT).reshape(-1, 16)[dispatch(seed, COUNT // 16)]
    systems = steady(DARCY, seed, COUNT).take(shards.ravel())
    alone = played(ARMS, solver.policy, systems).sum()
    ratio = found.work * COUNT / alone
    return [str(seed), f"{ratio:.3f}", "≤ 1.05", "met" if ratio <= 1.05 else "NOT MET"]


DEFAULTS = ("darcy", "darcy-contrast", "darcy-3d", "poisson", "elliptic", "heat", "cookies", "plate", "convection")
GRID = (1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9)


def defaults(recipe: str) -> list[list[str]]:
    """Return the work by relaxation on a shipped family, in relation to the best, for each method that can."""
    problem = load(recipe).problem
    systems = steady(problem, 0, 8)
    rows = []
    for method in ("cg", "bicgstab", "gmres"):
        default = SSOR().relaxation(systems.operators)
        omegas = sorted({*GRID, default})
        arms = [Krylov(method=method, preconditioner=SSOR(omega=omega)) for omega in omegas]
        if arms[0].unfit(systems):
            continue
        work = fixed(arms, systems).sum(0)
        ratios = dict(zip(omegas, work / work.min(), strict=True))
        best = omegas[int(work.argmin())]
        rows.append(
            [
                recipe,
                method,
                " × ".join(map(str, systems.operators.shape)),
                *(f"{ratios[omega]:.2f}" for omega in GRID),
                f"{best:g}",
                f"{default:g}",
                f"{ratios[default]:.2f}",
            ]
        )
    return rows


OTHERS: dict[str, tuple[Sequential, ...]] = {
    "multigrid, sweeps 2, 1, 3": tuple(Multigrid(sweeps=sweeps) for sweeps in (2, 1, 3)),
    "CG, ICC, fill 0, 1, 2": tuple(Krylov(method="cg", preconditioner=ICC(fill=fill)) for fill in (0, 1, 2)),
    "BiCGStab, ILU, fill 0, 1, 2": tuple(Krylov(method="bicgstab", preconditioner=ILU(fill=f)) for f in (0, 1, 2)),
    "GMRES, ILU, restart 50, 20, 100": tuple(Krylov(restart=restart) for restart in (50, 20, 100)),
}
"""Settings of other solvers, the default first."""


def others(recipe: str) -> list[list[str]]:
    """Return the work of other settings on a shipped family in relation to the best of each."""
    systems = steady(load(recipe).problem, 0, 8)
    rows = []
    for name, arms in OTHERS.items():
        if not arms[0].unfit(systems):
            work = fixed(arms, systems).sum(0)
            rows.append([recipe, name, *(f"{ratio:.2f}" for ratio in work / work.min())])
    return rows


EXPLANATION = """
Work in relation to that of the best fixed setting in hindsight, found by solving all systems with every setting: over
all systems, and over the second half beside the best there. quarters of regret: what the policy took more than the best
fixed setting (of all systems) did, in each quarter of the sequence.
"""


def main() -> None:
    """Print the tables."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=(*PARTS, "shards", "defaults"), help="all by default")
    parser.add_argument("--seeds", type=int, default=3, help="1, 2 … this many")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    command = shlex.join(["python", "-m", "benchmarks.tuned", *sys.argv[1:]])
    print(*provenance(command), EXPLANATION, sep="\n", flush=True)
    asked, seeds = arguments.part or [*PARTS, "shards", "defaults"], tuple(range(1, arguments.seeds + 1))
    for name, part in PARTS.items():
        if name in asked:
            print(part.title, *align(COLUMNS, lines(part, seeds), left=(0, 1, 5, 6, 7)), "", sep="\n", flush=True)
    if "shards" in asked:
        print(
            "Darcy as above, upper bound: work of `ritz generate` over 25 shards and 2 workers beside one sequence",
            *align(("seed", "ratio", "goal", ""), [over_shards(seed) for seed in seeds], left=(3,)),
            "",
            sep="\n",
            flush=True,
        )
    if "defaults" in asked:
        columns = ("recipe", "method", "unknowns", *(f"ω {omega:g}" for omega in GRID), "best", "default", "of best")
        print(
            "Work by the relaxation ω of SSOR beside the best of these, on 8 systems of shipped recipes, with that of",
            "eliminating what is missed; the default was 1. of best: the work by the default of today.",
            *align(columns, [line for recipe in DEFAULTS for line in defaults(recipe)], left=(0, 1, 2)),
            "",
            "The same of other settings, the default first.",
            *align(
                ("recipe", "settings", "default", "2nd", "3rd"),
                [line for recipe in DEFAULTS for line in others(recipe)],
                left=(0, 1),
            ),
            sep="\n",
            flush=True,
        )


if __name__ == "__main__":
    main()
