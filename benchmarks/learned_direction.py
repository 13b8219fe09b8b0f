"""Directions that a small network proposes, on Poisson's equation beside conjugate gradients and multigrid.

python -m benchmarks.learned_direction > benchmarks/learned_direction.txt      # about 4 minutes on one core
python -m benchmarks.learned_direction --seeds 1
"""

from __future__ import annotations

import argparse
import shlex
import sys
import textwrap
import time

import numpy as np

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.laws import TwoPhase
from ritz.compute.problems.poisson import Poisson
from ritz.compute.problems.problem import Problem
from ritz.compute.simulation.posing import first_systems
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.learned.direction import LearnedDirection
from ritz.compute.solvers.learned.training import WIDTH, trained
from ritz.compute.solvers.learned.weights import digest, unpacked
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.solvers.preconditioners.none import NoPreconditioner
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.systems import Systems

GRIDS, STEPS = (16, 32, 64), (300, 200, 100)
"""Where it is trained, and for how many steps each."""

TOLERANCES = (1e-4, 1e-8)
GROWTH, FEWER = 1.5, 8.0
"""Goals: iterations on 128² over those on 64², and of conjugate gradients over those of the network."""


def posed(problem: Problem, count: int) -> Systems:
    systems = first_systems(problem, problem.draw(0, np.arange(count)))
    assert systems is not None
    return systems


def poisson(n: int) -> tuple[Systems, list[str]]:
    """Return systems of right-hand sides that the training has not seen."""
    problem = Poisson(shape=(n, n))
    own = first_systems(problem, problem.draw(9, np.arange(2)))
    assert own is not None
    noise = np.random.default_rng(5).standard_normal((2, n, n))
    rhs = np.concatenate([noise, np.ones((1, n, n)), own.rhs])
    return Systems(own.operators.take(np.zeros(5, int)), rhs), ["noise", "noise", "constant", "family", "family"]


def darcy(n: int) -> tuple[Systems, list[str]]:
    systems = posed(Darcy(shape=(n, n), law=TwoPhase(low=1, high=10)), 3)
    return systems, ["two phases, contrast 10"] * 3


def iterations(solver: Sequential, systems: Systems, rtol: float) -> tuple[list[int], list[float], int]:
    """Return the iterations and the milliseconds per system, of the processor, and how many missed."""
    counts, spent, missed, carry = [], [], 0, None
    solver.answered(systems.take(slice(1)), rtol=rtol, carry=None, fallback=None)
    for i in range(len(systems)):
        begun = time.process_time()
        solutions, carry = solver.answered(systems.take(slice(i, i + 1)), rtol=rtol, carry=carry, fallback=None)
        spent.append(1e3 * (time.process_time() - begun))
        counts += solutions.ledger["iterations"]
        missed += solutions.ledger["status"][0] != "ok"
    return counts, spent, missed


Found = dict[tuple[str, str, float, int], float]
"""Iterations by solver, right-hand side, tolerance and cells along an axis."""

SAID = """
Trained on residuals of `Poisson` on {grids}, {steps} steps of 8 residuals, every second one begun as white noise; no
system is solved for it. Right-hand sides: white noise, constant, and of the family, from another seed. Iterations: mean
over the systems of a row, to a true relative residual of 1e-4 and 1e-8; CG without a preconditioner. ms: median per
system to 1e-8, time of the processor. {width} channels, {size} weights. The two-phase permeability was not in the
training. learned 0, 1, …: by the seed of weights and residuals; goals are of the worst seed.
"""


def learnt(seed: int) -> tuple[LearnedDirection, int, str]:
    """Return the solver of a training, the number of its weights, and what there is to say of the training."""
    begun = time.process_time()
    losses: list[float] = []
    families = [posed(Poisson(shape=(n, n)), 64) for n in GRIDS]
    blob = trained(families, steps=STEPS, seed=seed, report=lambda _, loss: losses.append(loss))
    took, left = time.process_time() - begun, np.exp(np.mean(losses[-50:]))
    solver = LearnedDirection(weights="poisson", digest=digest(blob), maxiter=2000).equipped(lambda *_: blob)
    about = f"seed {seed}: {took:.0f} s of the processor, ‖r − α A d‖/‖r‖ of the last 50 steps {left:.3f}"
    return solver, sum(one.numel() for one in unpacked(blob).parameters()), about


def goals(found: Found, seeds: int) -> list[str]:
    """Return what of the goals is met, by the worst seed."""
    lines = []
    for said in ("noise", "constant", "family"):
        for rtol in TOLERANCES:
            own = [{n: found[f"learned {seed}", said, rtol, n] for n in (64, 128)} for seed in range(seeds)]
            growth = max(one[128] / one[64] for one in own)
            fewer = [found["CG", said, rtol, n] / max(one[n] for one in own) for n in (64, 128)]
            verdict = "met" if growth < GROWTH and min(fewer) >= FEWER else "NOT MET"
            lines.append([said, f"{rtol:.0e}", f"{growth:.2f}", *(f"{one:.1f}" for one in fewer), verdict])
    over = f"CG over learned (≥ {FEWER:g}), 64²"
    return align(["Goals", "residual", f"128² over 64² (< {GROWTH})", over, "128²", "verdict"], lines)


def main() -> None:
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    trainings = [learnt(seed) for seed in range(given.seeds)]
    solvers: dict[str, Sequential] = {f"learned {seed}": solver for seed, (solver, _, _) in enumerate(trainings)}
    solvers |= {"CG": Krylov(method="cg", preconditioner=NoPreconditioner()), "multigrid": Multigrid()}
    print("\n".join(provenance(shlex.join(["python", "-m", "benchmarks.learned_direction", *sys.argv[1:]]))))
    grids, steps = ", ".join(f"{n}²" for n in GRIDS), ", ".join(map(str, STEPS))
    said = SAID.format(grids=grids, steps=steps, width=WIDTH, size=trainings[0][1])
    print("\n" + textwrap.fill(" ".join(said.split()), 118))
    print("\n" + "\n".join(["Training", *(about for _, _, about in trainings)]))
    found: Found = {}
    lines = []
    for family, make, sizes in (("Poisson", poisson, (32, 64, 128, 256)), ("Darcy", darcy, (64, 128))):
        for n in sizes:
            systems, names = make(n)
            results = {
                (name, rtol): iterations(solver, systems, rtol)
                for name, solver in solvers.items()
                for rtol in TOLERANCES
            }
            for said in dict.fromkeys(names):
                rows = [i for i, name in enumerate(names) if name == said]
                line = [f"{family} {n}²", said]
                for name in solvers:
                    for rtol in TOLERANCES:
                        found[name, said, rtol, n] = float(np.mean([results[name, rtol][0][i] for i in rows]))
                    counts = ", ".join(f"{found[name, said, rtol, n]:.1f}" for rtol in TOLERANCES)
                    _, spent, missed = results[name, TOLERANCES[-1]]
                    line += [counts, f"{np.median([spent[i] for i in rows]):.1f}" + (" missed" if missed else "")]
                lines.append(line)
    columns = ["systems", "right-hand side", *(text for name in solvers for text in (name, "ms"))]
    print("\n" + "\n".join(align(columns, lines, left=(0, 1))))
    print("\n" + "\n".join(goals(found, given.seeds)))


if __name__ == "__main__":
    main()
