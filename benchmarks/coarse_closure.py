"""A solver on a coarser grid than that of the data, completed by a network, beside both alone: chaotic flames.

python -m benchmarks.coarse_closure > benchmarks/coarse_closure.txt                    # about 2 minutes on one core
"""

from __future__ import annotations

import argparse
import logging
import math
import shlex
import sys
import textwrap
import time
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch

from benchmarks.lyapunov import no_systems
from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.evaluation.metric import Subject
from ritz.compute.evaluation.paired import gain, mean_with_ends
from ritz.compute.evaluation.rollouts.valid_time import ValidTime
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.problem import Arrays
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import Network, network
from ritz.compute.surrogates.networks.closure import Closed
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.rollout.closure import Closure
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.training.offline import Offline
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.epochs import InMemory
from ritz.compute.training.samples.supply import Given
from ritz.compute.training.surroundings import Surroundings

log = logging.getLogger("benchmarks")

PROBLEM = KuramotoSivashinsky(points=64, steps=80, store_every=4, end=20.0, spin_up=400)
COARSE = {points: KuramotoSivashinsky(points=points, steps=20, store_every=1, end=20.0) for points in (64, 32, 16)}
INNER = FNO(modes=16, width=16, layers=2, coordinates=False)
TRAIN, TEST, ROLLED = 256, 100, 100
SEEDS = (0, 1, 2)
STEPS, BATCH, PAIRS, RATE = 400, 16, 2, 5e-3
EARLY = 5.0
"""Time of the error."""
NETWORK = "network alone"

EXPLANATION = f"""
Kuramoto–Sivashinsky equation, L = {PROBLEM.length:g}, on {PROBLEM.points} points in steps of {PROBLEM.interval:g};
{TRAIN} trajectories of {PROBLEM.end:g} to train on, of which every state at whole times is stored, {TEST} to test, on
the attractor. The solver takes steps of {COARSE[16].interval:g} on all points or on fewer: states go there by linear
interpolation, what its step changes comes back by cubic splines. The network is an FNO of {INNER.width} channels and
{INNER.layers} layers on all points, which says what a step of the solver lacks, or what a step changes ("{NETWORK}"):
{STEPS} steps of {BATCH} trajectories with {PAIRS} pairs each, the same for all. RMSE: at the time {EARLY:g}, in
deviations of the states. valid time: until the correlation with the truth falls below 0.8, at most {ROLLED}. Means over
{len(SEEDS)} seeds with Student's 95 % intervals; lower: by how many percent the RMSE is below that of "{NETWORK}", seed
by seed, with the interval and what it says. ms: of the processor per trajectory and step, {TEST} at a time.
"""


class Nothing(torch.nn.Module):
    """No tendency."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return zeros."""
        return torch.zeros_like(x[:, :1])


def solved(problem: KuramotoSivashinsky, seed: int, count: int) -> Arrays:
    """Return inputs and outputs of some samples, as they are stored."""
    inputs = problem.draw(seed, np.arange(count))
    outputs = problem.simulate(inputs, no_systems)
    return {name: values.astype(np.float32) for name, values in (inputs | outputs).items()}


def trained(surrogate: Network, fields: Arrays, seed: int) -> Model:
    """Return a network that was trained on trajectories."""
    ids, none = np.arange(TRAIN), {name: rows[:0] for name, rows in fields.items()}
    nothing = Block(0, np.empty(0, np.int64), np.empty(0, str), none)
    supply = Given(PROBLEM.template(1), lambda _: nothing, fixed=InMemory(ids, fields, (ids[:0], none), seed))
    training = Offline(epochs=STEPS * BATCH / TRAIN, batch_size=BATCH, seed=seed, coarse=0.0)
    training = training.model_copy(update={"optimiser": training.optimiser.model_copy(update={"learning_rate": RATE})})
    return training.fit(surrogate, supply, Surroundings()).model


def alone(points: int, fields: Arrays) -> Model:
    """Return the solver on so many points, without a network."""
    surrogate = Closure(inner=INNER, coarse=COARSE[points])
    normalisation = Normalisation.fit(PROBLEM.template(1), fields)
    module = network(surrogate, normalisation).eval()
    assert isinstance(module, Closed)
    module.inner = Nothing()
    return Model(surrogate, normalisation, module)


@dataclass(frozen=True)
class Measured:
    """What was found of one model."""

    rmse: float
    valid: float
    ms: float


def measured(model: Model, test: Arrays, rolled: KuramotoSivashinsky) -> Measured:
    """Return error, valid time and cost of rollouts."""
    begun = time.process_time()
    found = model.rollout(test, tuple(rolled.times), TEST)["u"]
    ms = 1000 * (time.process_time() - begun) / TEST / ROLLED
    (at,) = np.flatnonzero(np.isclose(rolled.times, EARLY))
    rmse = math.sqrt(np.mean((found[:, at].astype(np.float64) - test["u"][:, at]) ** 2)) / float(test["u"].std())
    subject = Subject({"u0": test["u0"]}, {"u": found}, {"u": test["u"]}, Dimensions.of(rolled.template(1)), rolled)
    return Measured(rmse, float(ValidTime().measured(subject)[""].mean()), ms)


def table() -> list[str]:
    """Train and measure; return the table."""
    rolled = PROBLEM.prolonged(ROLLED)
    test = solved(rolled, len(SEEDS), TEST)
    found: dict[str, list[Measured]] = {}

    def note(name: str, model: Model) -> None:
        found.setdefault(name, []).append(measured(model, test, rolled))
        log.info("%s: %s", name, found[name][-1])

    for seed in SEEDS:
        fields = solved(PROBLEM, seed, TRAIN)
        note(NETWORK, trained(Stepping(inner=INNER, pairs_per_sample=PAIRS), fields, seed))
        for points, coarse in COARSE.items():
            note(f"solver on {points} points", alone(points, fields))
            closure = Closure(inner=INNER, coarse=coarse, pairs_per_sample=PAIRS)
            note(f"solver on {points} points, network", trained(closure, fields, seed))
    lines = [_line(rows, name, found[NETWORK]) for name, rows in found.items()]
    said = textwrap.wrap(EXPLANATION.strip(), 118)
    return ["", *said, "", *align(("", "RMSE", "RMSE lower, %", "valid time", "ms"), lines, left=(0, 1, 2, 3))]


def _line(rows: list[Measured], name: str, network: list[Measured]) -> list[str]:
    """Return a row of the table."""
    errors, against = [one.rmse for one in rows], ""
    if rows is not network:
        lower = gain(errors, [one.rmse for one in network])
        against = f"{100 * lower.mean:.1f} [{100 * lower.low:.1f}, {100 * lower.high:.1f}], {lower.verdict}"
    ms = float(np.mean([one.ms for one in rows]))
    return [name, _interval(errors, 4), against, _interval([one.valid for one in rows], 1), f"{ms:.3f}"]


def _interval(values: list[float], digits: int) -> str:
    middle, low, high = mean_with_ends(np.array(values))
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def main() -> None:
    """Print the table."""
    one_thread()
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    lines = table()
    print(*provenance(shlex.join(["python", "-m", "benchmarks.coarse_closure", *sys.argv[1:]])), sep="\n")
    print("; ".join(f"{name} {version(name)}" for name in ("torch", "neuraloperator")) + ".")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
