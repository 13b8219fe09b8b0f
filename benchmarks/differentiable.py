"""Gradients through solves: their cost beside peers, an inversion, and adjoint systems along a walk.

LINEAX_PYTHON=… TORCH_SLA_PATH=… python -m benchmarks.differentiable > benchmarks/differentiable.txt    # 10 minutes
python -m benchmarks.differentiable --part inversion --part walk
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import scipy

from benchmarks.peers.process import Process
from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.elliptic import Elliptic
from ritz.compute.simulation.implicit import SolveSequence, implicit_solve
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.certify import relative_residuals
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.solvers.preconditioners.icc import ICC
from ritz.compute.solvers.solver import Solver
from ritz.compute.solvers.systems import Systems

BATCH, RTOL, ROUNDS, SLOW = 64, 1e-8, 3, 5.0

TOGETHER = """
Darcy flow, batches of {batch} samples of the default law; the quantity is Σ u² over all points, and its gradient is by
all values of a. Relative residuals are at most {rtol:g}, in the solve and in its adjoint; direct methods are exact.
Methods take turns, {rounds} rounds each, or one where a round takes over {slow:g} s, after a warm-up that compiles and
loads. ms: median per sample, time of the processor, of the process that solves: from a in memory to u (forward), to u
and the gradient in memory (both). residual: largest true ‖b − Au‖/‖b‖ in float64; error: of the gradient, relative to
that by direct solves, the largest.
"""

INVERSION = """
36 coefficients of log a = Σ c_ij cos(πi x) cos(πj y), i, j < 6, of Darcy flow on 32² cells, from the pressure at 64
sensors without noise, on the grid on which the data was made; c_ij is normal with a standard deviation of 0.15. SciPy's
L-BFGS-B begins at 0 and minimises Σ ((u − d)/rms d)², until the largest error of log a over all cells is 1e-4, at most
200 pairs. A pair is one solve and one adjoint solve by multigrid, rtol 1e-10. pairs: until that error is first below
1e-3, and in all; error: the largest at 80 pairs, and at the end. The unknowns are the c_ij; where they are the
c_ij (1 + i² + j²), as a prior with a decaying spectrum would scale them, the problem is far worse conditioned.
"""

WALK = """
A walk of 60 steps: log a of the nonlinear elliptic equation on 48² cells goes √(1 − s²) log a + s g, g a new draw of
its law, s = 0.1; the source stays. The quantity is the mean of u, and what is counted are products with the matrices
of its 60 adjoint systems, rtol 1e-8, none of the 60 solves by Newton's method. cold: every system by itself; carried:
the space goes on in a `SolveSequence`, without a guard. ratio: carried over cold.
"""


@dataclass
class Timed:
    """A method of the first table, and what was measured of it."""

    name: str
    run: Callable[[np.ndarray], tuple[float, float, np.ndarray, np.ndarray]]
    """Takes a to the seconds of a solve, those of a solve and gradient, u, and the gradient."""
    alone: list[float] = field(default_factory=list)
    both: list[float] = field(default_factory=list)
    residual: float = np.nan
    error: float = np.nan
    lost: str = ""
    """Why it has none."""


def own(solver: Solver) -> Callable[[np.ndarray], tuple[float, float, np.ndarray, np.ndarray]]:
    """Return the run of `implicit_solve` beside `simulate` alone."""
    import torch

    def run(a: np.ndarray) -> tuple[float, float, np.ndarray, np.ndarray]:
        problem = Darcy(shape=a.shape[1:])
        start = time.process_time()
        simulate(problem, {"a": a}, solver, RTOL)
        alone = time.process_time() - start
        start = time.process_time()
        leaf = torch.from_numpy(a).requires_grad_()
        u = implicit_solve(problem, {"a": leaf}, solver=solver, rtol=RTOL)["u"]
        u.square().sum().backward()
        both = time.process_time() - start
        assert leaf.grad is not None
        return alone, both, u.detach().numpy(), leaf.grad.numpy()

    return run


def remote(process: Process, method: str) -> Callable[[np.ndarray], tuple[float, float, np.ndarray, np.ndarray]]:
    """Return the run of a peer in a process of its own."""

    def run(a: np.ndarray) -> tuple[float, float, np.ndarray, np.ndarray]:
        request = {"method": method, "cells": a.shape[1], "rtol": RTOL}
        account, found = process.ask(request, [a], 2 * a.size)
        u, gradient = found.reshape(2, *a.shape)
        return account["alone"], account["seconds"], u, gradient

    return run


def peers() -> tuple[dict[str, Callable[[np.ndarray], tuple[float, float, np.ndarray, np.ndarray]]], list[str]]:
    """Return the runs of the peers that are there, by name, and what is said of them."""
    found, said = {}, []
    path = {"PYTHONPATH": os.environ["TORCH_SLA_PATH"]} if "TORCH_SLA_PATH" in os.environ else {}
    for script, python, arguments, methods in (
        (
            "lineax_gradient.py",
            os.environ.get("LINEAX_PYTHON", sys.executable),
            (),
            {"lineax CG + diagonal, vmap": "vmap", "lineax CG + diagonal, map": "map"},
        ),
        ("torch_gradient.py", sys.executable, (), {"torch + SciPy's SuperLU": "plain"}),
        (
            "torch_gradient.py",
            sys.executable,
            ("torch-sla",),
            {
                "torch-sla, SciPy's SuperLU": "torch-sla:scipy:lu",
                "torch-sla, CG": "torch-sla:pytorch:cg",
                "torch-sla, batched CG": "torch-sla:batched:cg",
            },
        ),
    ):
        try:
            process = Process(script, python, *arguments, environment=path)
        except ImportError as error:
            said.append(f"Missing: {error}.")
            continue
        said.append("; ".join(process.versions.values()) + ".")
        found |= {name: remote(process, method) for name, method in methods.items()}
    return found, said


def cost(cells: int) -> Iterator[str]:
    """Print forward and gradient beside peers."""
    runs, said = peers()
    if cells == 64:
        yield from ("Peers: " + " ".join(said), "")
    methods = [
        Timed("Ritz, multigrid", own(Multigrid())),
        Timed("Ritz, CG + ICC", own(Krylov(method="cg", preconditioner=ICC()))),
        Timed("Ritz, direct", own(Direct())),
        *(Timed(name, run) for name, run in runs.items()),
    ]
    problem = Darcy(shape=(cells, cells))
    a = problem.draw(0, np.arange(BATCH))["a"].astype(np.float64)
    exact = own(Direct())(a)[3]
    systems = Systems(problem.matrices({"a": a}), np.ones(a.shape))
    order = np.random.default_rng(0)
    for turn in range(ROUNDS + 1):
        for place in order.permutation(len(methods)):
            method = methods[place]
            slow = bool(method.both) and BATCH * (method.both[-1] + method.alone[-1]) > 1e3 * SLOW
            if method.lost or slow:
                continue
            try:
                alone, both, u, gradient = method.run(a)
            except EOFError as error:
                method.lost = str(error)
                continue
            if turn == 0:
                method.residual = max(relative_residuals(systems, np.array(u), range(BATCH)))
                sizes = np.linalg.norm((gradient - exact).reshape(BATCH, -1), axis=1)
                method.error = float((sizes / np.linalg.norm(exact.reshape(BATCH, -1), axis=1)).max())
            else:
                method.alone.append(1e3 * alone / BATCH)
                method.both.append(1e3 * both / BATCH)
    best = np.median(methods[0].both)
    lines = []
    for method in sorted(methods, key=lambda one: np.median(one.both) if one.both else np.inf):
        alone, both = (np.median(times) if times else np.nan for times in (method.alone, method.both))
        ratios = [both / alone, both / best]
        lines.append(
            [
                method.name,
                f"{alone:.2f}",
                f"{both:.2f}",
                *(f"{ratio:.2f}" for ratio in ratios),
                f"{method.residual:.1e}",
                f"{method.error:.1e}",
                method.lost,
            ]
        )
    yield f"Darcy {cells}²"
    columns = ["method", "ms forward", "ms both", "both/forward", "× Ritz", "residual", "error", ""]
    yield from align(columns, lines, left=(0, 7))
    goal = np.median(methods[0].both) / np.median(methods[0].alone)
    rivals = [float(np.median(one.both)) for one in methods[3:] if one.both and one.residual <= 10 * RTOL]
    yield f"Goal: both ≤ 2.5 × forward: {goal:.2f}, {'met' if goal <= 2.5 else 'NOT MET'}."
    if rivals:
        factor = min(rivals) / float(best)
        yield f"Goal: ≥ 10 × the best peer: {factor:.1f}, {'met' if factor >= 10 else 'NOT MET'}."
    yield ""


class _Found(Exception):
    """Ends an optimiser."""


def inversion(seeds: int) -> Iterator[str]:
    """Print how many pairs of solves an inversion takes."""
    lines = []
    side = np.arange(6)
    # The first pair loads what is compiled.
    _inverted(np.ones((6, 6)), np.zeros((6, 6)))
    scales = {"c": np.ones((6, 6)), "c (1 + i² + j²)": 1 / (1 + side[:, None] ** 2 + side**2)}
    for unknowns, scale in scales.items():
        for seed in range(seeds):
            start = time.process_time()
            errors = _inverted(scale, 0.15 * np.random.default_rng(seed).standard_normal((6, 6)))
            seconds = time.process_time() - start
            first = next((i + 1 for i, error in enumerate(errors) if error <= 1e-3), None)
            at = errors[min(80, len(errors)) - 1]
            verdict = ("met" if at <= 1e-3 else "NOT MET") if unknowns == "c" else ""
            counts = [str(first or "–"), str(len(errors)), f"{at:.1e}", f"{errors[-1]:.1e}"]
            lines.append([unknowns, str(seed), *counts, f"{1e3 * seconds / len(errors):.1f}", verdict])
    yield "Inversion"
    columns = [
        "unknowns",
        "seed",
        "pairs to 1e-3",
        "in all",
        "error at 80",
        "at the end",
        "ms per pair",
        "≤ 80",
    ]
    yield from align(columns, lines, left=(0, 7))
    yield ""


def _inverted(scale: np.ndarray, truth: np.ndarray) -> list[float]:
    """Return the largest error of log a at every pair of solves; the unknowns are coefficients over their scales."""
    import torch

    problem, centres = Darcy(shape=(32, 32)), (np.arange(32) + 0.5) / 32
    waves, sensors = np.cos(np.pi * np.multiply.outer(np.arange(6), centres)), slice(2, None, 4)
    modes = torch.from_numpy(np.einsum("ij,iy,jx->ijyx", scale, waves, waves).reshape(36, 32, 32))
    sequence, errors = SolveSequence(), []

    def seen(log_a: torch.Tensor) -> torch.Tensor:
        inputs = {"a": log_a.exp()}
        u = implicit_solve(problem, inputs, solver=Multigrid(), rtol=1e-10, sequence=sequence)["u"]
        return u[:, sensors, sensors]

    exact = torch.tensordot(torch.from_numpy((truth / scale).ravel()), modes, 1)[None]
    data = seen(exact)

    def misfit(given: np.ndarray) -> tuple[float, np.ndarray]:
        unknowns = torch.from_numpy(given).requires_grad_()
        log_a = torch.tensordot(unknowns, modes, 1)[None]
        loss = ((seen(log_a) - data) / data.square().mean().sqrt()).square().sum()
        loss.backward()
        assert unknowns.grad is not None
        errors.append((log_a - exact).abs().max().item())
        if errors[-1] <= 1e-4 or len(errors) == 200:
            raise _Found
        return loss.item(), unknowns.grad.numpy()

    options = {"maxfun": 1000, "maxiter": 1000, "ftol": 0.0, "gtol": 0.0, "maxcor": 36}
    with contextlib.suppress(_Found):
        scipy.optimize.minimize(misfit, np.zeros(36), jac=True, method="L-BFGS-B", options=options)
    return errors


def walk() -> Iterator[str]:
    """Print products with the adjoint matrices along a walk."""
    import torch

    problem, s = Elliptic(shape=(48, 48)), 0.1
    drawn = problem.draw(0, np.arange(61))
    log_a, source = np.log(drawn["a"].astype(np.float64)), torch.tensor(drawn["f"][:1], dtype=torch.float64)
    places = [log_a[0]]
    for fresh in log_a[1:61]:
        places.append(np.sqrt(1 - s**2) * places[-1] + s * fresh)
    goals = {"none": 0.60, "ilu": 0.85}
    lines = []
    for name in ("none", "jacobi", "ilu"):
        adjoint = Recycled(preconditioner=name, guard=False)
        totals = {}
        for how in ("cold", "carried"):
            counts, sequence = [], SolveSequence()
            for place in places[1:]:
                if how == "cold":
                    sequence = SolveSequence()
                a = torch.from_numpy(np.exp(place))[None].requires_grad_()
                inputs = {"a": a, "f": source}
                u = implicit_solve(problem, inputs, solver=Multigrid(), adjoint=adjoint, sequence=sequence)["u"]
                u.mean().backward()
                assert sequence.adjoints.ledger is not None
                counts.append(sequence.adjoints.ledger["matvecs"][0])
            totals[how] = sum(counts)
        ratio = totals["carried"] / totals["cold"]
        verdict = "" if name not in goals else f"≤ {goals[name]:.2f} {'met' if ratio <= goals[name] else 'NOT MET'}"
        lines.append([f"GCRO-DR(50, 20), {name}", str(totals["cold"]), str(totals["carried"]), f"{ratio:.2f}", verdict])
    for title, adjoint in (("GMRES(50), none", Krylov(preconditioner="none")), ("multigrid", Multigrid())):
        counts, iterations = [], []
        for place in places[1:]:
            sequence = SolveSequence()
            a = torch.from_numpy(np.exp(place))[None].requires_grad_()
            inputs = {"a": a, "f": source}
            u = implicit_solve(problem, inputs, solver=Multigrid(), adjoint=adjoint, sequence=sequence)["u"]
            u.mean().backward()
            assert sequence.adjoints.ledger is not None
            counts.append(sequence.adjoints.ledger["matvecs"][0])
            iterations.append(sequence.adjoints.ledger["iterations"][0])
        lines.append([title, str(sum(counts)), "–", "–", f"{np.mean(iterations):.1f} iterations per system"])
    yield "Walk"
    yield from align(["adjoint solver", "cold", "carried", "ratio", "goal"], lines, left=(0, 4))


def main() -> None:
    one_thread()
    parts = ("cost", "inversion", "walk")
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", action="append", choices=parts)
    parser.add_argument("--cells", action="append", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    wanted = chosen.part or parts
    command = shlex.join(["python", "-m", "benchmarks.differentiable", *sys.argv[1:]])
    print("\n".join([*provenance(command), f"torch {torch.__version__}.", ""]), flush=True)
    if "cost" in wanted:
        text = TOGETHER.format(batch=BATCH, rtol=RTOL, rounds=ROUNDS, slow=SLOW)
        print("\n".join([*textwrap.wrap(text.strip(), 118), ""]))
        for cells in chosen.cells or (64, 128):
            print("\n".join(cost(cells)), flush=True)
    if "inversion" in wanted:
        print("\n".join([*textwrap.wrap(INVERSION.strip(), 118), "", *inversion(chosen.seeds)]), flush=True)
    if "walk" in wanted:
        print("\n".join([*textwrap.wrap(WALK.strip(), 118), "", *walk()]), flush=True)


if __name__ == "__main__":
    main()
