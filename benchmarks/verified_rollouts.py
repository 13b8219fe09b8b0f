"""Rollouts of a surrogate whose every step is checked by the equations, beside the surrogate and the solver alone.

python -m benchmarks.verified_rollouts > benchmarks/verified_rollouts.txt   # about 10 minutes on one core
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
import time
from importlib.metadata import version

import numpy as np

from benchmarks.stepping import error, solved, trained
from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.problems.evolution import Evolution, State
from ritz.compute.problems.evolutions.allen_cahn import AllenCahn
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.evolutions.reaction_diffusion import ReactionDiffusion
from ritz.compute.problems.problem import Arrays
from ritz.compute.simulation.quickest import quickest
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.systems import Systems
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.uncertainty.spread.defect import difference, sizes
from ritz.compute.uncertainty.verification.fields import CORRECTED, PREDICTED, SOLVE_RTOL, SOLVED
from ritz.compute.uncertainty.verification.rollouts import VerifiedRollout, roll_out

log = logging.getLogger("benchmarks")

PROBLEMS: dict[str, Evolution] = {
    "burgers": Burgers(points=64, steps=16, end=0.5),
    "heat": Heat(shape=(32, 32), steps=8),
    "allen-cahn": AllenCahn(shape=(32, 32), epsilon=0.05, steps=10, end=5.0),
    "reaction-diffusion": ReactionDiffusion(shape=(32, 32), length=0.5, steps=10, end=40.0),
}
INSIDE = FNO(modes=12, width=16, layers=3)
SAMPLES, TEST, EPOCHS, ROUNDS = 200, 16, 10, 3
TOLERANCES = (0.03, 0.01, 0.003, 1e-3)

EXPLANATION = f"""
Steps by an FNO (modes {INSIDE.modes}, width {INSIDE.width}, {INSIDE.layers} layers) that was trained on {SAMPLES}
trajectories for {EPOCHS} epochs; {TEST} trajectories are rolled out, all at once, every step verified to a tolerance.
kept, corrected, solved: percent of the steps. error: relative L2 over all times, of the verified rollout; ×: over that
of the surrogate alone. factor: largest of estimated over true error of a step of the surrogate and its inverse, over
all steps, where the true one is above 1e-6. of the solver: seconds over those of the solver alone, median of {ROUNDS}
interleaved rounds. The goal was an error of 0.2 of the surrogate's in half of the solver's seconds.
"""


def factors(problem: Evolution, model: Model, fields: Arrays, found: VerifiedRollout) -> float:
    """Return by which factor the estimated error of a step misses the true one at most."""
    solver = quickest(problem, fields, SOLVE_RTOL)

    def solve(systems: Systems) -> np.ndarray:
        return solver.solve(systems, rtol=SOLVE_RTOL)[0].x

    worst, before = 1.0, problem.start(fields).fields
    for step, length in enumerate(np.diff(problem.times, prepend=0.0)):
        guess = model.advance(fields, {n: v.astype(np.float32) for n, v in before.items()}, float(length))
        exact = problem.step(State(step, before), fields, solve).fields
        true = sizes(difference(guess, exact)) / sizes(exact)
        ratio = found.estimate[:, step] / np.maximum(true, 1e-30)
        counted = true > 1e-6
        if counted.any():
            worst = max(worst, float(np.maximum(ratio, 1 / ratio)[counted].max()))
        before = {name: values[:, step] for name, values in found.fields.items()}
    return worst


def table() -> list[tuple[str, ...]]:
    """Return the rows, with their heading."""
    rows = [("problem", "tolerance", "kept", "corrected", "solved", "error", "×", "factor", "of the solver")]
    for name, problem in PROBLEMS.items():
        log.info("%s", name)
        fields = solved(problem, SAMPLES + TEST)
        train, test = ({n: v[rows] for n, v in fields.items()} for rows in (slice(SAMPLES), slice(SAMPLES, None)))
        model, _ = trained(problem, train, Stepping(inner=INSIDE, pairs_per_sample=8), EPOCHS, seed=0)
        truth, free = {n: test[n] for n in problem.start(test).fields}, model.predict(test)

        def off(found: Arrays, truth: Arrays = truth) -> float:
            return float(np.mean([error(found[n], values) for n, values in truth.items()]))

        alone = off(free)
        rows.append((name, "none", "100", "0", "0", f"{alone:.2e}", "1.00", "–", _beside(problem, model, test, None)))
        for tolerance in TOLERANCES:
            found = roll_out(problem, model, test, tolerance)
            shares = (f"{100 * found.share(action):.0f}" for action in (PREDICTED, CORRECTED, SOLVED))
            left = off(found.fields)
            rows.append(
                (
                    *("", f"{tolerance:g}", *shares, f"{left:.2e}", f"{left / alone:.2g}"),
                    f"{factors(problem, model, test, found):.2f}",
                    _beside(problem, model, test, tolerance),
                )
            )
    return rows


def _beside(problem: Evolution, model: Model, test: Arrays, tolerance: float | None) -> str:
    """Return the seconds of a rollout over those of the solver alone."""
    solver = quickest(problem, test, SOLVE_RTOL)
    ratios = []
    for _ in range(ROUNDS + 1):
        began = time.process_time()
        if tolerance is None:
            model.predict(test)
        else:
            roll_out(problem, model, test, tolerance, solver)
        middle = time.process_time()
        simulate(problem, test, solver, SOLVE_RTOL)
        ratios.append((middle - began) / (time.process_time() - middle))
    # The first round compiles.
    return f"{np.median(ratios[1:]):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    one_thread()
    columns, *lines = table()
    print(*provenance(shlex.join(["python", "-m", "benchmarks.verified_rollouts", *sys.argv[1:]])), sep="\n")
    print(f"torch {version('torch')}.")
    print(textwrap.fill(" ".join(EXPLANATION.split()), 120))
    print("", *align(columns, lines), sep="\n")


if __name__ == "__main__":
    main()
