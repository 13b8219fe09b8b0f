"""Closures of Lorenz-96 with two scales: networks of one site, of neighbours and of the whole ring beside a cubic.

python -m benchmarks.closure > benchmarks/closure.txt                          # about 5 minutes on one core
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
import torch

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.evaluation.paired import gain, mean_with_ends
from ritz.compute.problems.evolutions.lorenz96 import Lorenz96
from ritz.compute.problems.problem import Arrays
from ritz.compute.solvers.systems import Systems
from ritz.compute.surrogates.convolutional.neighbourhood import Neighbourhood
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

PROBLEM = Lorenz96(sites=8, fast=32, forcing=20.0, steps=800, store_every=20, end=2.0, spin_up=1200)
COARSE = Lorenz96(sites=8, forcing=20.0, steps=80, store_every=2, end=2.0, spin_up=0)
TRAIN, TEST, ROLLED = 256, 200, 120
SEEDS = (0, 1, 2, 3, 4)
STEPS, BATCH, PAIRS = 800, 16, 8
RATE = 5e-3
TOLERANCE = 0.5
VARIABLES = ["u0", "u"]
CUBIC = "cubic, least squares"

EXPLANATION = f"""
Lorenz-96 with {PROBLEM.sites} slow variables X and {PROBLEM.fast} fast ones each, F = {PROBLEM.forcing:g}, h = 1,
b = c = 10, in steps of {PROBLEM.interval:g}; of the data X alone, every {PROBLEM.interval * PROBLEM.store_every:g} up
to {PROBLEM.end:g}, {TRAIN} trajectories of every seed to train on. The coarse problem has X alone and steps of
{COARSE.interval:g}: two between stored states. Every network is trained for {STEPS} steps of {BATCH} trajectories with
{PAIRS} pairs each; "{CUBIC}" is the regression of what the coarse problem lacks from one stored state to the next on
1, X, X², X³ of the site (Wilks, Q. J. R. Meteorol. Soc. 131, 2005, without its noise), "cubic, trained" the same
polynomial trained as the networks are, through the steps of the solver. {TEST} trajectories to test, the same for all.
RMSE: of X at the time 1, over sites and trajectories. valid time: the first stored time at which the RMSE over the
sites of a trajectory is above {TOLERANCE:g} of the standard deviation of X, mean over the trajectories, at most
{ROLLED * PROBLEM.interval * PROBLEM.store_every:g}. Means over {len(SEEDS)} seeds with Student's 95 % intervals. lower,
longer: by how many percent RMSE is below, valid time above that of "{CUBIC}", seed by seed, with the interval and what
it says. numbers: learnt ones. s: seconds of a training. The floor is the full system in steps half as long: what no
closure of X alone needs to beat.
"""


class Cubic(Network):
    """A cubic polynomial of the value of a site: a tendency as of the usual parametrisations."""

    kind: Literal["cubic"] = "cubic"

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Return the polynomial that is zero; see `Network.build`."""
        assert (inputs, outputs, axes) == (1, 1, 1)
        return Polynomial()


class Polynomial(torch.nn.Module):
    """c₀ + c₁x + c₂x² + c₃x³."""

    def __init__(self) -> None:
        super().__init__()
        self.coefficients = torch.nn.Parameter(torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the polynomial of every value."""
        c = self.coefficients
        return c[0] + x * (c[1] + x * (c[2] + x * c[3]))


class Nothing(torch.nn.Module):
    """No tendency."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return zeros."""
        return torch.zeros_like(x)


def refuse(systems: Systems) -> np.ndarray:
    """Explicit steps pose no systems."""
    raise AssertionError(f"got {systems}")


def solved(problem: Lorenz96, seed: int, count: int) -> Arrays:
    """Return trajectories of the slow variables, as they are stored."""
    inputs = problem.draw(seed, np.arange(count))
    fields = inputs | problem.simulate(inputs, refuse)
    return {name: fields[name].astype(np.float32) for name in VARIABLES}


def regressed(fields: Arrays) -> Model:
    """Return the closure by a cubic polynomial whose coefficients are those of a regression."""
    surrogate = Closure(inner=Cubic(), coarse=COARSE)
    normalisation = Normalisation.fit(PROBLEM.template(1)[VARIABLES], fields)
    module = network(surrogate, normalisation).eval()
    assert isinstance(module, Closed)
    assert isinstance(module.inner, Polynomial)
    with torch.no_grad():
        x, y = (torch.from_numpy(normalisation.encode(role, fields)) for role in ("input", "output"))
        states = torch.cat([module.split(x)[0][:, None], module.stacked(y)], dim=1)
        before, after = states[:, :-1].flatten(0, 1), states[:, 1:].flatten(0, 1)
        coarse = before
        for _ in range(COARSE.store_every):
            coarse = module.solved(coarse, {})
        lacks = ((after - coarse) / (COARSE.store_every * module.share)).double().flatten()
        powers = before.double().flatten()[:, None] ** torch.arange(4)
        module.inner.coefficients.copy_(torch.linalg.lstsq(powers, lacks[:, None]).solution[:, 0])
    return Model(surrogate, normalisation, module)


def without(fields: Arrays) -> Model:
    """Return the coarse problem alone."""
    model = regressed(fields)
    assert isinstance(model.module, Closed)
    model.module.inner = Nothing()
    return model


def trained(surrogate: Network, fields: Arrays, seed: int) -> Model:
    """Return a network that was trained on trajectories."""
    nothing = Block(0, np.empty(0, np.int64), np.empty(0, str), {name: rows[:0] for name, rows in fields.items()})
    ids = np.arange(TRAIN)
    supply = Given(
        PROBLEM.template(1)[VARIABLES],
        lambda _: nothing,
        fixed=InMemory(ids, fields, (nothing.ids, nothing.fields), seed),
    )
    training = Offline(epochs=STEPS * BATCH / TRAIN, batch_size=BATCH, seed=seed, coarse=0.0)
    training = training.model_copy(update={"optimiser": training.optimiser.model_copy(update={"learning_rate": RATE})})
    return training.fit(surrogate, supply, Surroundings()).model


NETWORKS: dict[str, Network] = {
    "network of the site": Neighbourhood(reach=0),
    "network of 2 sites around": Neighbourhood(reach=2),
    "FNO of the ring": FNO(modes=8, width=16, layers=2, coordinates=False),
}


def surrogates() -> dict[str, Network]:
    """Return what is trained, by its row of the table."""
    found: dict[str, Network] = {
        "cubic, trained": Closure(inner=Cubic(), coarse=COARSE, pairs_per_sample=PAIRS),
        **{name: Closure(inner=inner, coarse=COARSE, pairs_per_sample=PAIRS) for name, inner in NETWORKS.items()},
    }
    inner = NETWORKS["network of 2 sites around"]
    return found | {"2 sites around, no solver": Stepping(inner=inner, pairs_per_sample=PAIRS)}


@dataclass(frozen=True)
class Measured:
    """What was found of one model."""

    rmse: float
    valid: float
    numbers: int
    seconds: float


def measured(predicted: np.ndarray, truth: np.ndarray, deviation: float) -> tuple[float, float]:
    """Return the RMSE at the time 1 and the mean valid time of rollouts ``(n, time, site)``."""
    times = PROBLEM.interval * PROBLEM.store_every * np.arange(1, ROLLED + 1)
    square = (predicted.astype(np.float64) - truth) ** 2
    off = ~(np.sqrt(square.mean(axis=2)) <= TOLERANCE * deviation)
    first = np.where(off.any(axis=1), off.argmax(axis=1), ROLLED - 1)
    (at,) = np.flatnonzero(np.isclose(times, 1.0))
    return float(np.sqrt(square[:, at].mean())), float(times[first].mean())


def table() -> list[str]:
    """Train and measure; return the table."""
    rolled = PROBLEM.prolonged(ROLLED)
    test = solved(rolled, len(SEEDS), TEST)
    deviation, times = float(test["u"].std()), tuple(rolled.times)
    finer = rolled.model_copy(update={"steps": 2 * rolled.steps, "store_every": 2 * rolled.store_every})
    inputs = rolled.draw(len(SEEDS), np.arange(TEST))
    floor = measured(finer.simulate(inputs, refuse)["u"], test["u"], deviation)
    found: dict[str, list[Measured]] = {}

    def note(name: str, model: Model, seconds: float) -> None:
        one = measured(model.rollout(test, times, TEST)["u"], test["u"], deviation)
        found.setdefault(name, []).append(Measured(*one, model.size, seconds))
        log.info("%s: %s", name, found[name][-1])

    for seed in SEEDS:
        log.info("seed %d of %d", seed + 1, len(SEEDS))
        fields = solved(PROBLEM, seed, TRAIN)
        note("coarse problem alone", without(fields), 0.0)
        begun = time.process_time()
        note(CUBIC, regressed(fields), time.process_time() - begun)
        for name, surrogate in surrogates().items():
            begun = time.process_time()
            model = trained(surrogate, fields, seed)
            note(name, model, time.process_time() - begun)
    lines = [_line(name, rows, found[CUBIC]) for name, rows in found.items()]
    lines.append(["full system, half the step", f"{floor[0]:.3f}", f"{floor[1]:.2f}", *[""] * 4])
    heads = ("closure", "RMSE", "valid time", "RMSE lower, %", "valid time longer, %", "numbers", "s")
    said = textwrap.wrap(EXPLANATION.strip(), 118)
    return ["", *said, "", f"Standard deviation of X: {deviation:.3f}.", "", *align(heads, lines, left=(0, 1, 2, 3, 4))]


def _line(name: str, rows: list[Measured], cubic: list[Measured]) -> list[str]:
    """Return a row of the table."""
    errors, valid = (np.array([getattr(one, what) for one in rows]) for what in ("rmse", "valid"))
    against = [""] * 2
    if rows is not cubic:
        lower = gain(errors, [one.rmse for one in cubic])
        against[0] = f"{100 * lower.mean:.1f} [{100 * lower.low:.1f}, {100 * lower.high:.1f}], {lower.verdict}"
        # The ratio of valid times, the longer over the shorter, by the same intervals.
        ends = 100 * np.expm1(np.array(mean_with_ends(np.log(valid / [one.valid for one in cubic]))))
        verdict = "better" if ends[1] > 0 else "worse" if ends[2] < 0 else "undecided"
        against[1] = f"{ends[0]:.1f} [{ends[1]:.1f}, {ends[2]:.1f}], {verdict}"
    seconds = float(np.mean([one.seconds for one in rows]))
    return [name, _interval(errors, 3), _interval(valid, 2), *against, str(rows[0].numbers), f"{seconds:.1f}"]


def _interval(values: np.ndarray, digits: int) -> str:
    middle, low, high = mean_with_ends(values)
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def main() -> None:
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    lines = table()
    print(*provenance(shlex.join(["python", "-m", "benchmarks.closure", *sys.argv[1:]])), sep="\n")
    print("; ".join(f"{name} {version(name)}" for name in ("torch", "neuraloperator")) + ".")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
