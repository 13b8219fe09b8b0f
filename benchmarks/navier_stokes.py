"""Forced flow on a torus: the steps of Ritz beside those of the generator of the published samples, at equal error.

python -m benchmarks.navier_stokes > benchmarks/navier_stokes.txt       # about 2 minutes on one core
"""

from __future__ import annotations

import argparse
import shlex
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.fields.errors import relative_l2
from ritz.compute.problems.box import grid, periodic
from ritz.compute.problems.evolutions.navier_stokes import NavierStokes

CELLS, END, FORCING = 64, 2, 0.1
VISCOSITIES = (1e-3, 1e-4, 1e-5)
PUBLISHED = 1e-4
"""Step of the published generator."""
INTERVALS = (PUBLISHED, 1e-3, 4e-3, 1e-2)
"""Steps of its method."""
PER_UNIT = (4, 8, 16, 32, 64)
"""Steps of Ritz per unit of time."""
EXACT = 512
"""Steps per unit of time of what errors are measured against."""
GOAL = 3.0

Solve = Callable[[np.ndarray], np.ndarray]
"""Takes first states ``(n, CELLS, CELLS)`` to the states at the times 1 … END, ``(n, END, CELLS, CELLS)``."""


def published(first: np.ndarray, viscosity: float, interval: float) -> np.ndarray:
    """Step by the published generator's method, in plain NumPy.

    Complex transforms of whole fields, five a step: both velocities and both slopes to the grid, u·∇w back. The viscous
    part by Crank–Nicolson, the rest by explicit Euler.
    """
    ky, kx = periodic.wave_numbers((CELLS, CELLS), 1.0, whole=True)
    laplacian = kx**2 + ky**2
    inverse = 1 / np.where(laplacian > 0, laplacian, 1.0)
    mask = periodic.resolved((CELLS, CELLS), whole=True)
    y, x = (2 * np.pi * grid.centres(CELLS) for _ in range(2))
    force = np.fft.fft2(FORCING * (np.sin(y[:, None] + x) + np.cos(y[:, None] + x)))
    modes = np.fft.fft2(first)
    decay, growth = 1 - 0.5 * interval * viscosity * laplacian, 1 + 0.5 * interval * viscosity * laplacian
    store = round(1 / interval)
    found = np.empty((len(first), END, CELLS, CELLS))
    for step in range(END * store):
        stream = modes * inverse
        u, v = np.fft.ifft2(1j * ky * stream).real, np.fft.ifft2(-1j * kx * stream).real
        along_x, along_y = np.fft.ifft2(1j * kx * modes).real, np.fft.ifft2(1j * ky * modes).real
        convection = mask * np.fft.fft2(u * along_x + v * along_y)
        modes = (interval * (force - convection) + decay * modes) / growth
        if (step + 1) % store == 0:
            found[:, (step + 1) // store - 1] = np.fft.ifft2(modes).real
    return found


def problem(viscosity: float, per_unit: int) -> NavierStokes:
    """Return the problem with so many steps per unit of time."""
    return NavierStokes(
        shape=(CELLS, CELLS),
        viscosity=viscosity,
        forcing=FORCING,
        steps=END * per_unit,
        store_every=per_unit,
        end=END,
    )


def by_ritz(viscosity: float, per_unit: int) -> Solve:
    """Return the steps of Ritz; those that are too long for the speeds leave NaN."""
    one = problem(viscosity, per_unit)
    return lambda first: one.simulate({"w0": first}, _no_systems)["w"]


def _no_systems(systems: object) -> np.ndarray:
    raise AssertionError(f"explicit steps posed {systems}")


@dataclass
class Row:
    """A method with its steps, and what was measured of it: one number per round."""

    method: str
    interval: float
    solve: Solve
    residual: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    seconds: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    checks: list[float] = field(default_factory=list)

    def measure(self, first: np.ndarray, exact: np.ndarray) -> None:
        """Solve one sample, in time of the processor, and compare its last state."""
        before = time.process_time()
        with np.errstate(over="ignore", invalid="ignore"):
            found = self.solve(first)
        self.seconds.append(time.process_time() - before)
        self.errors.append(float(relative_l2(found[:, -1], exact[:, -1])[0]))
        if self.residual is not None and np.isfinite(found).all():
            before = time.process_time()
            assert self.residual(first, found)[0] <= 1e-8
            self.checks.append(time.process_time() - before)

    @property
    def median(self) -> float:
        """Median seconds a sample."""
        return float(np.median(self.seconds))

    @property
    def error(self) -> float:
        """Largest error; infinite where a sample failed."""
        return max(self.errors) if np.isfinite(self.errors).all() else np.inf


def rows(viscosity: float) -> list[Row]:
    """Return all methods at a viscosity, not yet measured."""

    def of_ritz(per_unit: int) -> Row:
        one = problem(viscosity, per_unit)
        return Row(
            "Ritz", 1 / per_unit, by_ritz(viscosity, per_unit), lambda first, w: one.residual({"w0": first}, {"w": w})
        )

    def of_reference(interval: float) -> Row:
        return Row("published method", interval, lambda first: published(first, viscosity, interval))

    return [*(of_reference(interval) for interval in INTERVALS), *(of_ritz(per_unit) for per_unit in PER_UNIT)]


def resolved(first: np.ndarray) -> np.ndarray:
    """Return first states without the modes that Ritz drops and the published method carries along."""
    found: np.ndarray = np.fft.ifft2(
        np.fft.fft2(first.astype(np.float64)) * periodic.resolved((CELLS, CELLS), whole=True)
    ).real
    return found


def measure(viscosity: float, rounds: int) -> list[Row]:
    """Let all methods solve one sample after the other, in turns that begin with another method every round."""
    runs = rows(viscosity)
    drawn = resolved(problem(viscosity, 1).draw(0, np.arange(rounds))["w0"])
    exact = by_ritz(viscosity, EXACT)
    for run in runs[len(INTERVALS) :]:
        run.solve(drawn[:1])
    for i in range(rounds):
        first = drawn[i : i + 1]
        truth = exact(first)
        for j in range(len(runs)):
            runs[(i + j) % len(runs)].measure(first, truth)
    return runs


def matched(runs: list[Row], reference: Row) -> Row | None:
    """Return the quickest run of Ritz that is at least as exact as another run; None without one."""
    exact = [run for run in runs if run.method == "Ritz" and run.error <= reference.error]
    return min(exact, key=lambda run: run.median) if exact else None


def table(viscosity: float, runs: list[Row]) -> list[str]:
    """Print what was measured at a viscosity."""
    lines = []
    for run in runs:
        failed = not np.isfinite(run.error)
        lines.append(
            [
                run.method,
                f"{run.interval:g}",
                f"{1 / run.median:.3g}",
                f"{1e3 * run.median:.1f}",
                "failed" if failed else f"{run.error:.1e}",
                f"{1e3 * float(np.median(run.checks)):.1f}" if run.checks else "",
                _versus(runs, run) if run.method != "Ritz" else "",
            ]
        )
    columns = ["method", "Δt", "samples per s", "ms", "error", "check ms", "Ritz at this error or less"]
    return [f"ν = {viscosity:g}", *align(columns, lines)]


def _versus(runs: list[Row], reference: Row) -> str:
    if not np.isfinite(reference.error):
        return "–"
    quickest = matched(runs, reference)
    if quickest is None:
        return "none"
    return f"{reference.median / quickest.median:.0f} × as fast, Δt = {quickest.interval:g}"


EXPLANATION = """
∂w/∂t + u·∇w = ν Δw + 0.1 (sin 2π(x + y) + cos 2π(x + y)) on {cells}² cells, first states by the law of the published
samples, states at the times 1 to {end}. published method: that of the generator of Li et al. (ICLR 2021) in plain
NumPy, five complex transforms a step, Crank–Nicolson for the viscous part and explicit Euler for the rest; its Δt was
{published:g}. Ritz: exponential time differencing of fourth order with real transforms. Both have the same modes, so
they converge to the same solution. {rounds} rounds of one sample each, in which the methods take turns; ms: median time
of the processor a sample, for Ritz with coefficients from the cache. error: largest relative L2 error at the last time
against Ritz with Δt = 1/{exact}. failed: the speeds exceed what the steps can take, or overflow. check: the residual of
all steps by a second implementation, ms a sample, beside the ms of solving. Goal: {goal:g} times as many samples per
second as the published method with its own Δt, at no larger error.
"""


def main() -> None:
    """Print the tables and whether the goal is reached."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    measured = {viscosity: measure(viscosity, rounds) for viscosity in VISCOSITIES}
    print(*provenance(shlex.join(["python", "-m", "benchmarks.navier_stokes", *sys.argv[1:]])), sep="\n")
    explained = EXPLANATION.format(cells=CELLS, end=END, published=PUBLISHED, rounds=rounds, exact=EXACT, goal=GOAL)
    print("", *textwrap.wrap(explained.strip(), 118), sep="\n")
    verdicts = []
    for viscosity, runs in measured.items():
        print("", *table(viscosity, runs), sep="\n")
        quickest = matched(runs, runs[0])
        ratio = runs[0].median / quickest.median if quickest else 0.0
        check = float(np.median(quickest.checks)) / quickest.median if quickest else np.nan
        verdicts.append([f"{viscosity:g}", f"{ratio:.0f}", f"{check:.1f}", "met" if ratio >= GOAL else "NOT MET"])
    print("", *align(["ν", "× published", "check / solve", f"goal {GOAL:g} ×"], verdicts), sep="\n")


if __name__ == "__main__":
    main()
