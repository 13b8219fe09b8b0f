"""APEBench, in JAX, and Ritz on three of its scenarios: the same trajectories, sizes, updates and seeds.

    python -m venv build/apebench && build/apebench/bin/pip install apebench
    python -m benchmarks.apebench > benchmarks/apebench.txt                     # about 10 minutes on one core

`APEBENCH_PYTHON` names another interpreter that has apebench.
"""

from __future__ import annotations

import argparse
import logging
import math
import shlex
import sys
import textwrap
import time
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np
import xarray as xr

from benchmarks.peers.apebench import APEBench
from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.fields.dimensions import INITIAL_STATE
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.training.offline import Offline
from ritz.compute.training.parts.optimiser import AdamW
from ritz.compute.training.parts.rate import Cosine
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.epochs import InMemory
from ritz.compute.training.samples.supply import Given
from ritz.compute.training.surroundings import Surroundings

log = logging.getLogger("benchmarks")

SCENARIOS = {"advection": "Advection", "Burgers": "Burgers", "KS": "KuramotoSivashinskyConservative"}
"""Classes of APEBench, with its own parameters."""
POINTS, TRAIN, TRAINED, TEST, TESTED = 160, 50, 50, 30, 100
"""Points; trajectories to train on and their steps; trajectories to test on and their steps."""
BATCH, RATE, WARM_UP = 20, 3e-3, 0.2
"""Pairs of states in an update; largest learning rate; share of the updates in which it rises."""
NETWORK, SURROGATE = (
    "FNO;12;18;4;gelu",
    Stepping(inner=FNO(modes=22, width=17, layers=4, coordinates=False), pairs_per_sample=1),
)
SEEDS, GOAL = (0, 1, 2), 1.05


@dataclass
class Trainings:
    """What the trainings of one package on one scenario came to: a row of errors, one per step, for every seed."""

    errors: list[np.ndarray] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    parameters: int = 0

    def add(self, errors: np.ndarray, seconds: float, parameters: int) -> None:
        """Take in a training."""
        self.errors.append(errors)
        self.seconds.append(seconds)
        self.parameters = parameters

    @property
    def means(self) -> np.ndarray:
        """The mean over the steps of every seed."""
        return np.array([float(np.mean(one)) for one in self.errors])

    @property
    def geometric(self) -> np.ndarray:
        """The geometric mean over the steps of every seed."""
        return np.array([math.exp(float(np.mean(np.log(one)))) for one in self.errors])


def template() -> xr.Dataset:
    """Describe the trajectories as Ritz learns from them."""
    nothing = np.broadcast_to(np.float32(np.nan), (1, TRAINED, POINTS))
    about = {"transform": "identity"}
    return xr.Dataset(
        {
            "u0": (("sample", "x"), nothing[:, 0], {"role": "input", **about}),
            "u": (("sample", "time", "x"), nothing, {"role": "output", **about, INITIAL_STATE: "u0"}),
        },
        coords={
            "time": ("time", np.arange(1.0, TRAINED + 1), {"axis": "T"}),
            "x": ("x", np.arange(POINTS) / POINTS, {"axis": "X"}),
        },
        attrs={"symmetries": "none"},
    )


def by_ritz(train: np.ndarray, test: np.ndarray, updates: int, seed: int) -> tuple[np.ndarray, float, int]:
    """Train; return rollouts of the test ``(n, time, x)``, the seconds of the training and the parameters."""
    fields = {"u0": train[:, 0].astype(np.float32), "u": train[:, 1:].astype(np.float32)}
    ids = np.arange(len(train))
    nothing = Block(0, ids[:0], np.empty(0, str), {name: values[:0] for name, values in fields.items()})
    training = Offline(
        epochs=updates * BATCH / len(train),
        batch_size=BATCH,
        seed=seed,
        validation=0,
        optimiser=AdamW(learning_rate=RATE, weight_decay=0.0),
        rate=Cosine(warm_up=WARM_UP),
        clip=None,
    )
    fixed = InMemory(ids, fields, (nothing.ids, nothing.fields), seed)
    supply = Given(template(), lambda _: nothing, fixed=fixed)
    start = time.process_time()
    model = training.fit(SURROGATE, supply, Surroundings()).model
    seconds = time.process_time() - start
    rollout = model.rollout({"u0": test[:, 0].astype(np.float32)}, tuple(float(k + 1) for k in range(TESTED)))["u"]
    parameters = sum(one.numel() * (2 if one.is_complex() else 1) for one in model.module.parameters())
    return rollout, seconds, parameters


def measured(peer: APEBench, name: str, updates: int) -> dict[str, Trainings]:
    """Train both on a scenario, in turns."""
    found = {"APEBench": Trainings(), "Ritz": Trainings()}
    train, test = peer.data(SCENARIOS[name])
    for seed in SEEDS:
        found["APEBench"].add(*peer.trained(SCENARIOS[name], seed))
        rollout, seconds, parameters = by_ritz(train, test, updates, seed)
        found["Ritz"].add(peer.measured(SCENARIOS[name], rollout), seconds, parameters)
        log.info("%s, seed %d: %s", name, seed, {who: (one.means[-1], one.seconds[-1]) for who, one in found.items()})
    return found


def lines(name: str, found: dict[str, Trainings]) -> list[list[str]]:
    """Return the rows of a scenario."""
    return [
        [
            name,
            who,
            f"{one.parameters}",
            *(_ends(values) for values in (one.means, one.geometric)),
            *(f"{np.mean([errors[k - 1] for errors in one.errors]):.3g}" for k in (1, 10, TESTED)),
            f"{np.mean(one.seconds):.1f}",
        ]
        for who, one in found.items()
    ]


def verdict(name: str, found: dict[str, Trainings]) -> list[str]:
    """Return the ratios of a scenario."""
    mean, geometric = (
        float(np.mean(ours)) / float(np.mean(theirs))
        for ours, theirs in (
            (found["Ritz"].means, found["APEBench"].means),
            (found["Ritz"].geometric, found["APEBench"].geometric),
        )
    )
    seconds = float(np.mean(found["Ritz"].seconds) / np.mean(found["APEBench"].seconds))
    return [name, f"{mean:.2f}", f"{geometric:.2f}", f"{seconds:.2f}", "met" if mean <= GOAL else "NOT MET"]


def _ends(values: np.ndarray) -> str:
    return f"{values.mean():.3g} [{values.min():.3g}, {values.max():.3g}]"


EXPLANATION = f"""
Scenarios of APEBench with its own parameters: 1D on {POINTS} points, {TRAIN} trajectories of {TRAINED} steps to train
on and {TEST} of {TESTED} to test on. APEBench makes them, and hands the same arrays to Ritz; both see states divided by
their root mean square. APEBench trains its FNO ({NETWORK}: modes, channels, blocks) on the mean squared error of the
next state; Ritz trains steps around its own FNO, which has a two-layer lifting and projection and channel mixing in
every block, so with 17 channels it is not the larger one, on the relative L2 error of trajectories, and lets the
network say what a step changes. Both: {{updates}} updates (APEBench's own number is 10 000) on {BATCH} pairs of
neighbouring states, Adam, {RATE:g} (its own 1e-3 leaves APEBench larger errors after 1000 updates in all three
scenarios), {WARM_UP:.0%} of the updates to rise, then half a cosine to zero. mean, geometric:
of APEBench's mean_nRMSE over {TESTED} steps of rollouts, measured by APEBench for both; mean, least and most over
{len(SEEDS)} seeds; step k: at that step. s: of the processor, of a training, with JAX's compilation. Goal: mean of Ritz
at most {GOAL:g} times that of APEBench.
"""


def main() -> None:
    """Print the tables."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=1000)
    updates = parser.parse_args().updates
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    # The libraries of the network load outside of the clock.
    SURROGATE.inner.as_network().build(1, 1, 1)  # type: ignore[union-attr]
    settings = {
        "num_points": POINTS,
        "num_train_samples": TRAIN,
        "train_temporal_horizon": TRAINED,
        "num_test_samples": TEST,
        "test_temporal_horizon": TESTED,
        "batch_size": BATCH,
        "optim_config": f"adam;{updates};warmup_cosine;0.0;{RATE};{round(WARM_UP * updates)}",
    }
    peer = APEBench(settings, NETWORK)
    found = {name: measured(peer, name, updates) for name in SCENARIOS}
    everything = [line for name, one in found.items() for line in lines(name, one)]
    print(*provenance(shlex.join(["python", "-m", "benchmarks.apebench", *sys.argv[1:]])), sep="\n")
    print("; ".join(f"{name} {version(name)}" for name in ("torch", "neuraloperator")) + f"; peer: {peer.about}.")
    print("", *textwrap.wrap(EXPLANATION.format(updates=updates).strip(), 118), "", sep="\n")
    columns = ("", "", "parameters", "mean", "geometric", "step 1", "step 10", f"step {TESTED}", "s")
    print(*align(columns, everything, left=(0, 1)), "", "Ritz over APEBench", sep="\n")
    print(*align(("", "mean", "geometric", "s", ""), [verdict(name, one) for name, one in found.items()]), sep="\n")


if __name__ == "__main__":
    main()
