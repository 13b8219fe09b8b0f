"""Steps of a network on sub-fields beside those of the same network on the whole grid: seconds per step and errors.

python -m benchmarks.staggered > benchmarks/staggered.txt                      # about 4 minutes on one core
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
import torch

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.evaluation.paired import mean_with_ends
from ritz.compute.fields.errors import relative_l2
from ritz.compute.problems.evolutions.allen_cahn import AllenCahn
from ritz.compute.problems.problem import Arrays
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.preconditioners.jacobi import Jacobi
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import Network, network
from ritz.compute.surrogates.networks.rollout import Rollout
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.rollout.staggered import Staggered
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.training.offline import Offline
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.epochs import InMemory
from ritz.compute.training.samples.supply import Given
from ritz.compute.training.surroundings import Surroundings

log = logging.getLogger("benchmarks")

GRIDS = (64, 128, 256)
BATCHES = {64: 2, 128: 1}
"""Trajectories in a step of a training, by the grids on which networks are trained."""
TRAIN, TEST = 32, 12
SEEDS = (0, 1, 2)
STEPS, PAIRS = 120, 4
TURNS = 15
SLOWEST, WORST = 0.5, 1.3
INNER = FNO(modes=12, width=12, layers=2, coordinates=False)
PLAIN = "whole grid"
SOLVER = Krylov(method="cg", preconditioner=Jacobi())
LARGE = FNO(coordinates=False)


def networks(inner: Network) -> dict[str, Network]:
    """Return a network by itself, and inside `Staggered` in its ways."""
    return {
        PLAIN: inner,
        "stride 2, channels": Staggered(inner=inner),
        "stride 2, batch": Staggered(inner=inner, subfields="batch"),
        "stride 4, channels": Staggered(inner=inner, stride=4),
    }


TRAINED = {64: (PLAIN, "stride 2, channels", "stride 2, batch"), 128: (PLAIN, "stride 2, channels")}
"""What is trained, by grid."""

EXPLANATION = f"""
The Allen–Cahn equation on n² cells, ε = 0.03, 8 states up to the time 4. An FNO (modes {INNER.modes}, width
{INNER.width}, {INNER.layers} layers) in `Stepping`, on the whole grid and the same one inside `Staggered`. ms: time of
the processor for one step of one sample, median of {TURNS} turns in which all networks alternate; ×: the median of
its ratios to the whole grid, turn by turn. ms and × of the larger one: the same of the default FNO (modes
{LARGE.modes}, width {LARGE.width}, {LARGE.layers} layers), untrained. error: relative L2 of rollouts from the first
state through all times, mean over {TEST} samples, of networks of {len(SEEDS)} seeds trained for {STEPS} steps on
{TRAIN} trajectories, {PAIRS} pairs each of {" and ".join(f"{batch} at {n}²" for n, batch in BATCHES.items())};
Student's 95 % interval. × error: its ratio to the whole grid, seed by seed, with the interval. The goal is at most
{SLOWEST:g} times the seconds, of the trained network, at most {WORST:g} times the error; an interval across {WORST:g}
is undecided. –: not trained, for its cost, and then the goal of the error is not looked at. Persistence is the first
state at all times.
"""


def problem(points: int) -> AllenCahn:
    """Return the equation on so many cells along each axis."""
    return AllenCahn(shape=(points, points), steps=8, end=4.0)


def solved(points: int, count: int) -> Arrays:
    """Return inputs and outputs of some samples, as they are stored."""
    inputs = problem(points).draw(0, np.arange(count))
    outputs, ledger = simulate(problem(points), inputs, SOLVER, rtol=1e-8)
    assert set(ledger["status"]) == {"ok"}
    return {name: values.astype(np.float32) for name, values in (inputs | outputs).items()}


def trained(inner: Network, points: int, fields: Arrays, seed: int) -> Model:
    """Return a network that was trained on all samples but those to test on."""
    train = {name: values[:TRAIN] for name, values in fields.items()}
    nothing = Block(0, np.empty(0, np.int64), np.empty(0, str), {name: rows[:0] for name, rows in train.items()})
    supply = Given(
        problem(points).template(1),
        lambda _: nothing,
        fixed=InMemory(np.arange(TRAIN), train, (nothing.ids, nothing.fields), seed),
    )
    batch = BATCHES[points]
    training = Offline(epochs=STEPS * batch / TRAIN, batch_size=batch, seed=seed, coarse=0.0)
    return training.fit(Stepping(inner=inner, pairs_per_sample=PAIRS), supply, Surroundings()).model


def seconds(points: int, inner: Network) -> dict[str, np.ndarray]:
    """Return by network the seconds of single steps of untrained networks, turn by turn."""
    template = problem(points).template(1)
    first = problem(points).draw(0, np.arange(1))
    fields = first | {"u": np.repeat(first["u0"][:, None], 8, axis=1)}
    normalisation = Normalisation.fit(template, fields)
    state = torch.from_numpy(normalisation.encode("input", fields))
    modules = {name: network(Stepping(inner=one), normalisation).eval() for name, one in networks(inner).items()}
    found: dict[str, list[float]] = {name: [] for name in modules}
    with torch.no_grad():
        for turn in range(-2, TURNS):
            for name, module in modules.items():
                assert isinstance(module, Rollout)
                begun = time.process_time()
                module.step(state, state[:, :0], 0.5)
                # The first turns load what is needed.
                if turn >= 0:
                    found[name].append(time.process_time() - begun)
    return {name: np.array(values) for name, values in found.items()}


def errors(points: int) -> tuple[float, dict[str, np.ndarray]]:
    """Return the error of persistence, and by network those of all seeds."""
    log.info("solving %d samples on %d²", TRAIN + TEST, points)
    fields = solved(points, TRAIN + TEST)
    test = {name: values[TRAIN:] for name, values in fields.items()}
    still = np.broadcast_to(test["u0"][:, None], test["u"].shape)
    found: dict[str, list[float]] = {name: [] for name in TRAINED[points]}
    for seed in SEEDS:
        for name in TRAINED[points]:
            model = trained(networks(INNER)[name], points, fields, seed)
            found[name].append(float(relative_l2(model.predict(test)["u"], test["u"]).mean()))
            log.info("%d², seed %d, %s: %.4f", points, seed, name, found[name][-1])
    return float(relative_l2(still, test["u"]).mean()), {name: np.array(values) for name, values in found.items()}


def table() -> list[str]:
    """Train, time and measure; return the table."""
    lines: list[list[str]] = []
    for points in GRIDS:
        log.info("timing steps on %d²", points)
        took, larger = seconds(points, INNER), seconds(points, LARGE)
        still, off = errors(points) if points in BATCHES else (None, {})
        for name, times in took.items():
            ratio = float(np.median(times / took[PLAIN]))
            line = [f"{points}²", name, f"{1e3 * np.median(times):.2f}", f"{ratio:.2f}"]
            line += [f"{1e3 * np.median(larger[name]):.1f}", f"{np.median(larger[name] / larger[PLAIN]):.2f}"]
            if name not in off:
                lines.append([*line, "–", "–", "" if name == PLAIN else _verdict(ratio, None)])
                continue
            share = mean_with_ends(off[name] / off[PLAIN])
            shown = ["", ""] if name == PLAIN else [_interval(share, 2), _verdict(ratio, share)]
            lines.append([*line, _interval(mean_with_ends(off[name]), 4), *shown])
        if still is not None:
            lines.append([f"{points}²", "persistence", "", "", "", "", f"{still:.4f}", "", ""])
    heads = ("grid", "network", "ms", "×", "ms, larger", "×, larger", "error", "× error", "goal")
    return ["", *textwrap.wrap(EXPLANATION.strip(), 118), "", *align(heads, lines, left=(0, 1, 6, 7, 8))]


def _verdict(ratio: float, share: tuple[float, float, float] | None) -> str:
    """Say whether the goal is reached."""
    if ratio > SLOWEST:
        return "missed: seconds"
    if share is None:
        return "seconds met"
    _, low, high = share
    return "met" if high <= WORST else "missed: error" if low > WORST else "undecided: error"


def _interval(ends: tuple[float, float, float], digits: int) -> str:
    middle, low, high = ends
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def main() -> None:
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    lines = table()
    print(*provenance(shlex.join(["python", "-m", "benchmarks.staggered", *sys.argv[1:]])), sep="\n")
    print("; ".join(f"{name} {version(name)}" for name in ("torch", "neuraloperator")) + ".")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
