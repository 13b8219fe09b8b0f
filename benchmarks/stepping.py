"""Networks that step through time, beside one network of all times, and all pairs of times beside consecutive ones.

python -m benchmarks.stepping > benchmarks/stepping.txt                     # about 17 minutes on one core
python -m benchmarks.stepping --part pairs
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
import time
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.fields.errors import relative_l2
from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.evolutions.advection_diffusion import AdvectionDiffusion
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.problems.ranges import Range
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import Network
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.training.offline import Offline
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.epochs import InMemory
from ritz.compute.training.samples.supply import Given
from ritz.compute.training.surroundings import Surroundings

log = logging.getLogger("benchmarks")

SEEDS = (0, 1, 2, 3, 4)
ROLLOUTS: dict[str, Evolution] = {
    "burgers": Burgers(points=64, steps=16, end=0.5),
    "heat": Heat(shape=(16, 16), steps=8),
}
INSIDE = FNO(modes=12, width=16, layers=3)
SAMPLES, TEST, EPOCHS = 300, 50, 10

PAIRS = AdvectionDiffusion(
    shape=(32, 32),
    velocity_x=Range(low=-0.5, high=0.5),
    velocity_y=Range(low=-0.5, high=0.5),
    viscosity=Range(low=1e-3, high=1e-2, log=True),
    steps=8,
    end=0.5,
)
UNSEEN = (1.5, 2.5, 3.5)
"""Lengths of the steps that no training has as the time between neighbours, in stored intervals."""
FEW = 16

EXPLANATION = f"""
rollout: {SAMPLES} samples, {TEST} to test, {EPOCHS} epochs; FNO (modes {INSIDE.modes}, width {INSIDE.width},
{INSIDE.layers} layers) of all times at once, and the same network in steps of one stored interval (8 pairs of each
sample in a step of the training). error: relative L2 over all times, the mean over the test samples; first, last: of
the first and of the last state; twice: at twice the time of the training, where there is no network of all times. ×:
error over that of all times, paired by seed. Means over {len(SEEDS)} seeds, least and most in brackets; seconds of the
processor. pairs: advection–diffusion on 32², velocities and ν of each sample its own; equal steps of the training.
Error after {", ".join(f"{u:g}" for u in UNSEEN)} stored intervals, which no consecutive pair has: in one step by a
network trained on all pairs, which sees the length of its step, and by one trained on consecutive pairs, the better of
the whole numbers of steps below and above. fine-tuned: on {FEW} trajectories of ten times the diffusivity, from the
weights of all pairs, beside the same steps from scratch.
"""


def solved(problem: Problem, count: int, first: int = 0) -> Arrays:
    """Return inputs and outputs of some samples, as they are stored."""
    inputs = problem.draw(0, np.arange(first, first + count))
    outputs, ledger = simulate(problem, inputs, Auto(), rtol=1e-8)
    assert set(ledger["status"]) == {"ok"}
    return {name: values.astype(np.float32) for name, values in (inputs | outputs).items()}


def trained(
    problem: Problem, fields: Arrays, surrogate: Network, epochs: int, seed: int, start: Model | None = None
) -> tuple[Model, float]:
    """Return a network that was trained on samples, and the seconds of the processor that took."""
    ids = np.arange(len(next(iter(fields.values()))))
    none = {name: values[:0] for name, values in fields.items()}
    nothing = Block(0, ids[:0], np.empty(0, str), none)
    supply = Given(problem.template(1), lambda _: nothing, fixed=InMemory(ids, fields, (ids[:0], none), seed))
    began = time.process_time()
    around = Surroundings() if start is None else Surroundings(start=start)
    model = Offline(epochs=epochs, seed=seed, coarse=0.0, augment=False).fit(surrogate, supply, around).model
    return model, time.process_time() - began


def error(predicted: np.ndarray, truth: np.ndarray) -> float:
    return float(relative_l2(predicted, truth).mean())


def spread(values: Sequence[float], digits: str = ".4f") -> str:
    """Return mean, least and most."""
    return f"{np.mean(values):{digits}} [{min(values):{digits}}, {max(values):{digits}}]"


def rollouts() -> list[tuple[str, ...]]:
    """Compare steps with all times at once."""
    rows = [("problem", "surrogate", "error", "×", "first", "last", "twice", "seconds")]
    for name, problem in ROLLOUTS.items():
        further = problem.prolonged(2 * len(problem.times))
        fields = solved(further, SAMPLES + TEST)
        steps = len(problem.times)
        train = {n: v[:SAMPLES, :steps] if n == "u" else v[:SAMPLES] for n, v in fields.items()}
        test = {n: v[SAMPLES:] for n, v in fields.items()}
        found: dict[str, list[tuple[float, ...]]] = {}
        for seed in SEEDS:
            for title, surrogate in (("all times", INSIDE), ("steps", Stepping(inner=INSIDE, pairs_per_sample=8))):
                log.info("%s, %s, seed %d", name, title, seed)
                model, seconds = trained(problem, train, surrogate, EPOCHS, seed)
                truth = test["u"]
                if title == "steps":
                    predicted = model.rollout(test, tuple(further.times))["u"]
                    twice = error(predicted[:, -1], truth[:, -1])
                else:
                    predicted, twice = model.predict(test)["u"], float("nan")
                predicted, truth = predicted[:, :steps], truth[:, :steps]
                ends = (error(predicted[:, k], truth[:, k]) for k in (0, -1))
                found.setdefault(title, []).append((error(predicted, truth), *ends, twice, seconds))
        for title, measured in found.items():
            columns = list(zip(*measured, strict=True))
            ratios = [mine[0] / all_times[0] for mine, all_times in zip(measured, found["all times"], strict=True)]
            twice = "–" if np.isnan(columns[3]).any() else spread(columns[3])
            rows.append(
                (
                    *(name, title, spread(columns[0]), spread(ratios, ".2f"), *map(spread, columns[1:3]), twice),
                    f"{np.mean(columns[4]):.0f}",
                )
            )
    return rows


def pairs() -> list[tuple[str, ...]]:
    """Compare all pairs with consecutive ones, and fine-tuning with a start from scratch."""
    inside = FNO(modes=8, width=16, layers=3)
    consecutive, everything = (
        Stepping(inner=inside, pairs=kind, pairs_per_sample=4) for kind in ("consecutive", "all")
    )
    fields = solved(PAIRS, SAMPLES)
    interval = PAIRS.end / PAIRS.steps
    finer = PAIRS.model_copy(update={"steps": 2 * PAIRS.steps})
    test = solved(finer, TEST, first=10_000)
    diffusive = PAIRS.model_copy(update={"viscosity": Range(low=1e-2, high=1e-1, log=True)})
    few, many = solved(diffusive, FEW, first=20_000), solved(diffusive, TEST, first=30_000)
    by_length: dict[float, list[tuple[float, float]]] = {length: [] for length in UNSEEN}
    tuned: list[tuple[float, float]] = []
    for seed in SEEDS:
        log.info("pairs, seed %d", seed)
        all_pairs, _ = trained(PAIRS, fields, everything, EPOCHS, seed)
        neighbours, _ = trained(PAIRS, fields, consecutive, EPOCHS, seed)
        for length in UNSEEN:
            truth = test["u"][:, round(2 * length) - 1]
            one = all_pairs.rollout(test, (length * interval,))["u"][:, 0]
            whole = (int(np.floor(length)), int(np.ceil(length)))
            others = [neighbours.rollout(test, (k * interval,))["u"][:, 0] for k in whole]
            by_length[length].append((error(one, truth), min(error(other, truth) for other in others)))
        from_weights, _ = trained(diffusive, few, everything, 10 * EPOCHS, seed, start=all_pairs)
        from_scratch, _ = trained(diffusive, few, everything, 10 * EPOCHS, seed)
        tuned.append(
            (error(from_weights.predict(many)["u"], many["u"]), error(from_scratch.predict(many)["u"], many["u"]))
        )
    rows = [("what", "all pairs, or fine-tuned", "consecutive, or from scratch", "×", "goal")]
    unseen = [(f"step of {length:g}", by_length[length], 0.8) for length in UNSEEN]
    for name, measured, goal in [*unseen, (f"{FEW} trajectories", tuned, 0.7)]:
        mine, other = zip(*measured, strict=True)
        ratios = [a / b for a, b in measured]
        verdict = "met" if np.mean(ratios) <= goal else "NOT MET"
        rows.append((name, spread(mine), spread(other), spread(ratios, ".2f"), f"≤ {goal:g} {verdict}"))
    return rows


PARTS = {"rollout": rollouts, "pairs": pairs}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=list(PARTS))
    asked = parser.parse_args(arguments).part or list(PARTS)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    one_thread()
    command = shlex.join(
        ["python", "-m", "benchmarks.stepping", *(f"--part={part}" for part in asked if len(asked) < 2)]
    )
    print("\n".join([*provenance(command), f"torch {version('torch')}"]))
    print(textwrap.fill(" ".join(EXPLANATION.split()), 120))
    for part in asked:
        columns, *lines = PARTS[part]()
        print("", part, *align(columns, lines), sep="\n", flush=True)


if __name__ == "__main__":
    main()
