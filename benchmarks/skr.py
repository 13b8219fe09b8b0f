"""The published comparison of Krylov recycling with restarted GMRES, on the released matrices and on the intended ones.

    python -m benchmarks.skr

Wang et al., "Accelerating data generation for neural operators via Krylov subspace recycling", ICLR 2024, compare
GMRES(40) with GCRO-DR(40, 20) carried along a sorted sequence. Their matrices are those of −Δ(a u) on a grid of s × s
cells, a being the exponential of a periodic Gaussian field (α = 2.5, τ = 7), and, for Helmholtz, −Δ(a u) − k² u with
one number k from U(0, 1). In the released builder the coupling of a cell to its lower neighbour along the first axis
carries the value of a two cells before that neighbour. With that slip the matrices have eigenvalues on both sides of
zero, and GMRES(40) stalls. Here both are solved, with the carry, without it, and directly.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np

from benchmarks.threads import one_thread
from ritz.compute.sampling.order import greedy
from ritz.compute.solvers.certify import relative_residual
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.preconditioners.ilu import ILU
from ritz.compute.solvers.preconditioners.jacobi import Jacobi
from ritz.compute.solvers.preconditioners.none import NoPreconditioner
from ritz.compute.solvers.preconditioners.preconditioner import Preconditioner
from ritz.compute.solvers.preconditioners.ssor import SSOR
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.systems import Systems

COUNT = 12
RESTART, RECYCLE, CAP = 40, 20, 10_000
PRECONDITIONERS = {"none": NoPreconditioner(), "jacobi": Jacobi(), "ssor": SSOR(omega=1), "ilu": ILU()}
"""By their names in the table; the publication's successive over-relaxation has the factor 1."""


def fields(seed: int, count: int, cells: int, alpha: float = 2.5, tau: float = 7.0) -> np.ndarray:
    """Draw exponentials of periodic Gaussian fields with the spectrum τ^(2α − 2) (4π²|k|² + τ²)^−α."""
    waves = np.fft.fftfreq(cells, 1 / cells)
    spectrum = tau ** (2 * alpha - 2) * (4 * np.pi**2 * (waves[:, None] ** 2 + waves**2) + tau**2) ** -alpha
    spectrum[0, 0] = 0
    generator = np.random.default_rng([seed, cells])
    noise = generator.standard_normal((2, count, cells, cells))
    return np.exp(np.fft.ifft2((noise[0] + 1j * noise[1]) * np.sqrt(spectrum), norm="forward").real)


def systems(padded: np.ndarray, squares: np.ndarray, slip: bool) -> Systems:
    """Pose −Δ(a u) − k² u = 1 inside of a ring of cells with u = 0, times the area of a cell.

    Parameters
    ----------
    padded
        ``(n, s + 2, s + 2)`` values of a, the ring included.
    squares
        ``(n,)`` values of k².
    slip
        Whether to take the coupling to the lower neighbour along the first axis from two cells before it.
    """
    inside = padded[:, 1:-1, 1:-1]
    count, cells = inside.shape[:2]
    width = 1 / (cells - 1)
    c = np.zeros((count, 5, cells, cells))
    c[:, 0] = 4 * inside - (width**2 * squares)[:, None, None]
    below = padded[:, :-2, 1:-1]
    if slip:
        below = np.roll(below.reshape(count, -1), 2, axis=1).reshape(below.shape)
    c[:, 1, 1:] = -below[:, 1:]
    c[:, 2, :-1] = -inside[:, 1:]
    c[:, 3, :, 1:] = -inside[:, :, :-1]
    c[:, 4, :, :-1] = -inside[:, :, 1:]
    return Systems(Stencil(c), np.full((count, cells, cells), width**2))


def measure(batch: Systems, rtol: float, preconditioner: Preconditioner) -> dict[str, tuple[np.ndarray, ...]]:
    """Solve with all methods in turn, system by system; return iterations, seconds and residuals by method."""
    carried = Recycled(
        restart=RESTART, recycle=RECYCLE, preconditioner=preconditioner, maxiter=CAP // (RESTART - RECYCLE), guard=False
    )
    methods: dict[str, tuple[Sequential, bool]] = {
        "GMRES": (Krylov(method="gmres", restart=RESTART, preconditioner=preconditioner, maxiter=CAP), False),
        "carry": (carried, True),
        "cold": (carried, False),
        "direct": (Direct(library="superlu"), False),
    }
    carries: dict[str, object] = dict.fromkeys(methods)
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in methods}
    for name, (solver, _) in methods.items():
        if name != "GMRES":
            solver.attempt(batch, 0, rtol=rtol, carry=None)
    for i in range(len(batch)):
        for name, (solver, carries_on) in methods.items():
            start = time.process_time()
            attempt, carry = solver.attempt(batch, i, rtol=rtol, carry=carries[name])
            seconds = time.process_time() - start
            if carries_on:
                carries[name] = carry
            x = np.full(batch.rhs[i].size, np.nan) if attempt.x is None else attempt.x
            residual = relative_residual(batch.operators, i, x, batch.rhs[i].ravel())
            found[name].append((attempt.iterations, seconds, residual))
    return {name: tuple(np.array(column) for column in zip(*rows, strict=True)) for name, rows in found.items()}


def row(title: str, preconditioner: str, rtol: float, found: dict[str, tuple[np.ndarray, ...]]) -> str:
    """Print what was found for one preconditioner."""
    its = {name: columns[0].mean() for name, columns in found.items()}
    ms = {name: 1e3 * columns[1].mean() for name, columns in found.items()}
    capped = int((found["GMRES"][2] > rtol).sum())
    times = f"{ms['carry']:8.1f} {ms['direct']:7.1f} {ms['GMRES'] / ms['carry']:7.1f}"
    missed = sum(int((found[name][2] > rtol).sum()) for name in ("carry", "cold", "direct"))
    return (
        f"{title:31s} {preconditioner:7s} {its['GMRES']:7.0f} {capped:6d} {its['carry']:7.0f} {its['cold']:7.0f} "
        f"{its['GMRES'] / its['carry']:7.1f} {its['cold'] / its['carry']:7.2f} {times} "
        f"{ms['cold'] / ms['carry']:7.2f} {ms['carry'] / ms['direct']:7.1f} {missed:7d}"
    )


def main() -> None:
    """Print the table."""
    versions = " ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "numba"))
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    print(f"python -m benchmarks.skr  # {today}, python {sys.version.split()[0]} {versions}, one thread")
    print(
        f"""N = {COUNT} systems a row, sorted (greedy), methods in turn system by system; all from this project.
GMRES: GMRES({RESTART}), at most {CAP} iterations; capped: systems that got there. carry: GCRO-DR({RESTART}, {RECYCLE})
with the recycled space carried from system to system, as published. cold: the same without the carry. direct:
SuperLU, the elimination order of the pattern found once. Preconditioned from the right, stopped by the true relative
residual (the publication stops by that of the left-preconditioned system). its, ms: means over systems, in CPU time
of this process, which has one thread: what else the machine does then counts little. missed: systems on which carry,
cold or direct missed the tolerance.
"""
    )
    print(
        f"{'':39s} ------------- its -------------  -- its ratio --  --- ms ---------  -- time ratio ---------\n"
        f"{'set, tolerance, matrices':31s} {'prec':7s}   GMRES capped   carry    cold   GMRES    cold    carry  direct "
        f"  GMRES    cold   carry  missed\n{'':71s}  /carry  /carry                   /carry  /carry /direct"
    )
    for name, cells, rtol in (("Darcy", 78, 1e-8), ("Helmholtz", 98, 1e-7)):
        padded = fields(0, COUNT, cells + 2)
        padded = padded[greedy(padded.reshape(COUNT, -1))]
        squares = np.random.default_rng(1).random(COUNT) ** 2 if name == "Helmholtz" else np.zeros(COUNT)
        for slip in (True, False):
            title = f"{name} {cells**2}, {rtol:.0e}, {'as released' if slip else 'slip removed'}"
            for name_of, preconditioner in PRECONDITIONERS.items():
                found = measure(systems(padded, squares, slip), rtol, preconditioner)
                print(row(title, name_of, rtol, found), flush=True)


if __name__ == "__main__":
    one_thread()
    main()
