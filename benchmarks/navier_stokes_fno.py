"""Navier–Stokes flow at ν = 1e-3 and 1e-5 by Fourier neural operators, in steps and all times at once.

    python -m benchmarks.navier_stokes_fno --minutes 180 > benchmarks/navier_stokes_fno.txt
    python -m benchmarks.navier_stokes_fno --minutes 12 --samples 160 --test 40 --updates 800

Samples and trainings are kept in a folder. A call goes on with them for some minutes of the processor, and prints the
table of what there is. Other numbers of updates are other trainings, on the same samples.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import shlex
import sys
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray as xr

from benchmarks.lyapunov import no_systems
from benchmarks.resumed import Resumed
from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.evaluation.equal_seconds import most_accurate
from ritz.compute.fields.dimensions import INITIAL_STATE
from ritz.compute.fields.errors import relative_l2
from ritz.compute.problems.evolutions.navier_stokes import NavierStokes
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Arrays
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.offline import Offline
from ritz.compute.training.parts.optimiser import AdamW
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.epochs import InMemory
from ritz.compute.training.samples.supply import Given

log = logging.getLogger("benchmarks")

CELLS, GIVEN, BLOCK, FIRST = 64, 10, 20, 10_000
"""Cells along an axis; the last time that is given; samples that are solved together; the first to train on."""
NETWORK = FNO(modes=24, width=20, layers=4, coordinates=False)
"""Twelve modes of each sign and twenty channels, as published."""
BATCH, RATE = 4, 3e-3
"""Trajectories of an update, largest learning rate."""
COMPARED = 8
"""Test samples on which coarse solves are tried."""


@dataclass(frozen=True)
class Case:
    """A viscosity, with the last time and the errors as published, by the network in steps and by that of all times.

    ``per_unit`` are the steps of the solver per unit of time.
    """

    viscosity: float
    end: int
    per_unit: int
    in_steps: float
    at_once: float

    def problem(self, end: int) -> NavierStokes:
        """Return the problem with a state per unit of time, up to ``end``."""
        return NavierStokes(
            shape=(CELLS, CELLS),
            viscosity=self.viscosity,
            steps=end * self.per_unit,
            store_every=self.per_unit,
            end=float(end),
        )

    def template(self, way: str) -> xr.Dataset:
        """Describe what a way learns from."""
        if way == STEPS:
            return self.problem(self.end - 1).template(1)
        after = self.problem(self.end - GIVEN).template(1)
        nothing = np.broadcast_to(np.float32(np.nan), (1, GIVEN, CELLS, CELLS))
        before = (("sample", "given", "y", "x"), nothing, after["w0"].attrs)
        found = after.drop_vars("w0").assign(before=before)
        del found["w"].attrs[INITIAL_STATE]
        return found


CASES = (Case(1e-3, 50, 20, 0.0128, 0.0086), Case(1e-5, 20, 40, 0.1556, 0.1893))
STEPS, ONCE = "in steps", "all times at once"
WAYS: dict[str, Surrogate] = {STEPS: Stepping(inner=NETWORK, pairs_per_sample=1), ONCE: NETWORK}


def states(folder: Path, case: Case, first: int, count: int, until: float) -> np.ndarray:
    """Return the states at the times 1, 2, … of samples, ``(n, time, y, x)``; those that there is no time for lack."""
    about = case.problem(case.end)
    parts = []
    for start in range(first, first + count, BLOCK):
        path = folder / f"states-{_digest(about.model_dump(mode='json'))}-{start}.npz"
        if not path.exists():
            if time.process_time() >= until:
                break
            began = time.process_time()
            solved = about.simulate(about.draw(0, np.arange(start, start + BLOCK)), no_systems)["w"]
            assert np.isfinite(solved).all()
            partial = path.with_suffix(".part.npz")
            np.savez(partial, w=solved.astype(np.float32), seconds=time.process_time() - began)
            partial.rename(path)
        with np.load(path) as kept:
            parts.append(kept["w"])
    return np.concatenate(parts) if parts else np.empty((0, case.end, CELLS, CELLS), np.float32)


def solving(folder: Path, case: Case) -> float:
    """Return the seconds that all samples of a case took to solve."""
    about, found = case.problem(case.end), 0.0
    for path in folder.glob(f"states-{_digest(about.model_dump(mode='json'))}-*[0-9].npz"):
        with np.load(path) as kept:
            found += float(kept["seconds"])
    return found


def fields(way: str, trajectories: np.ndarray) -> Arrays:
    """Return trajectories as a way learns from them: all pairs of neighbours, or ten states and the others."""
    if way == STEPS:
        return {"w0": trajectories[:, 0], "w": trajectories[:, 1:]}
    return {"before": trajectories[:, :GIVEN], "w": trajectories[:, GIVEN:]}


def resumed(folder: Path, case: Case, way: str, train: np.ndarray, updates: int) -> Resumed:
    """Return a way of a case in training, on trajectories ``(n, time, y, x)``; ``updates`` of the whole of it."""
    training = Offline(
        epochs=updates * BATCH / len(train),
        batch_size=BATCH,
        optimiser=AdamW(learning_rate=RATE),
        ema=0.99,
        coarse=0.0,
        validation=0,
        fitted_on=64,
    )
    arrays, ids = fields(way, train), np.arange(len(train))
    nothing = Block(0, ids[:0], np.empty(0, str), {name: values[:0] for name, values in arrays.items()})
    fixed = InMemory(ids, arrays, (nothing.ids, nothing.fields), training.seed, part=BATCH)
    about = [one.model_dump(mode="json") for one in (case.problem(case.end), training, WAYS[way])]
    path = folder / f"training-{_digest([*about, len(train)])}.safetensors"
    return Resumed(path, training, WAYS[way], Given(case.template(way), lambda _: nothing, fixed=fixed))


def predicted(model: Model, way: str, test: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the states after those that are given, and the seconds of the processor per sample."""
    began = time.process_time()
    if way == STEPS:
        times = tuple(float(k + 1) for k in range(test.shape[1] - GIVEN))
        found = model.rollout({"w0": test[:, GIVEN - 1]}, times)["w"]
    else:
        found = model.predict({"before": test[:, :GIVEN]})["w"]
    return found, (time.process_time() - began) / len(test)


def errors(found: np.ndarray, test: np.ndarray) -> list[str]:
    """Return mean relative L2 errors over all times, at the first and at the last."""
    truth = test[:, GIVEN:]
    parts = [(found, truth), (found[:, 0], truth[:, 0]), (found[:, -1], truth[:, -1])]
    return [f"{relative_l2(one, other).mean():.4f}" for one, other in parts]


def coarse(case: Case, test: np.ndarray, seconds: float) -> list[str]:
    """Return the row of the most accurate solve that takes no longer than a prediction."""
    problem, some = case.problem(case.end - GIVEN), test[:COMPARED]
    given = {"w0": some[:, GIVEN - 1]}
    best = most_accurate(problem, given, {"w": some[:, GIVEN:]}, seconds, rtol=1e-8)
    if best.best is None:
        return ["–", "–", "–", "–", "no solve is as quick"]
    one = best.best
    cells, steps = CELLS // one.space, case.per_unit / one.time
    return [
        *(f"{value:.4f}" for value in (one.error or 0.0, best.nrmse[0], best.nrmse[-1])),
        f"{1e3 * one.seconds:.0f}",
        f"{cells}² cells, {steps:g} steps per unit of time",
    ]


def rows(case: Case, test: np.ndarray, models: Mapping[str, tuple[Model | None, str]]) -> list[list[str]]:
    """Measure all that there is of a case."""
    found: list[list[str]] = []
    for way, (model, about) in models.items():
        if model is None:
            found.append([f"FNO, {way}", "–", "–", "–", "–", "not begun"])
            continue
        states_after, seconds = predicted(model, way, test)
        found.append([f"FNO, {way}", *errors(states_after, test), f"{1e3 * seconds:.0f}", about])
        found.append([f"solver in the seconds of {way}", *coarse(case, test, seconds)])
    last = np.broadcast_to(test[:, GIVEN - 1 : GIVEN], test[:, GIVEN:].shape)
    found.append(["persistence", *errors(last, test), "", "the last state that is given"])
    found.append(["published FNO-2D, in steps", f"{case.in_steps:.4f}", "", "", "", "500 epochs of 1000 samples"])
    found.append(["published FNO-3D, all times", f"{case.at_once:.4f}", "", "", "", "500 epochs of 1000 samples"])
    return found


EXPLANATION = """
∂w/∂t + u·∇w = ν Δw + 0.1 (sin 2π(x + y) + cos 2π(x + y)) on 64² cells, first states by the law of the published
samples; given are the states at the times 1 to 10, asked for those at 11 to T: T = 50 at ν = 1e-3, T = 20 at 1e-5.
FNO of Ritz with 12 modes of each sign, 20 channels and 4 layers, as published; updates on {batch} trajectories each,
AdamW, {rate:g}, a rise and half a cosine over the planned updates, moving average of the weights. in steps: w(t) ↦
w(t + 1) around the network, on one pair of each trajectory in an update, predicting from w(10) alone. all times at
once: from the ten states to all others in one pass. error: mean relative L2 over all times asked for and the test
samples; first, last: of the states at 11 and T. ms: of the processor per trajectory. solver in the seconds of: the most
accurate solve by Ritz that takes no longer than a prediction, on {compared} of the test samples; its first and last are
per state. hours: of the processor, for the samples and for the training.
Published: Li et al., "Fourier neural operator", ICLR 2021, table 1, N = 1000. Not its protocol: {differences}.
"""


def differences(count: int, tested: int, epochs: float) -> str:
    """Say where a run is not the published protocol."""
    return (
        f"{count} samples to train on in place of 1000 and {tested} to test on in place of 200, {epochs:.2g} epochs or "
        "less in place of 500; samples solved on 64² cells in place of 256²; the published network in steps sees the "
        "ten states before each and learns from whole rollouts, and the published network of all times works in three "
        "dimensions, the third being time"
    )


def _digest(about: object) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def main() -> None:
    """Go on for some minutes, and print the tables."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/navier_stokes_fno"), help="of what is kept")
    parser.add_argument("--minutes", type=float, default=180.0, help="of the processor, for this call; 0 to print")
    parser.add_argument("--samples", type=int, default=1000, help="to train on; of each viscosity")
    parser.add_argument("--test", type=int, default=200, help="samples to test on")
    parser.add_argument("--updates", type=int, default=24_000, help="of each training, as planned")
    arguments = parser.parse_args()
    for name in ("samples", "test"):
        if getattr(arguments, name) < BLOCK or getattr(arguments, name) % BLOCK:
            parser.error(f"--{name} is {getattr(arguments, name)}, expected a multiple of {BLOCK}")
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    import torch

    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    until = time.process_time() + 60 * arguments.minutes
    tables: list[str] = []
    left = len(CASES)
    for case in CASES:
        # A case has its share of what is left, and so has each of its trainings.
        share = time.process_time() + (until - time.process_time()) / left
        left -= 1
        test = states(arguments.folder, case, 0, arguments.test, share)
        train = states(arguments.folder, case, FIRST, arguments.samples, share)
        title = f"ν = {case.viscosity:g}, T = {case.end}; {len(train)} samples to train on, {len(test)} to test on"
        if len(train) < arguments.samples:
            tables += ["", f"{title}, of {arguments.samples} and {arguments.test}: not yet trained"]
            continue
        trainings = {way: resumed(arguments.folder, case, way, train, arguments.updates) for way in WAYS}
        for i, one in enumerate(trainings.values()):
            seconds = (share - time.process_time()) / (len(trainings) - i)
            if seconds > 0:
                one.go(seconds)
        models = {}
        for way, one in trainings.items():
            took = one.took()
            epochs = took["updates"] * BATCH / len(train)
            done = f"{took['updates']:.0f} of {arguments.updates} updates, {epochs:.1f} epochs"
            models[way] = (one.model(), f"{done}, {took['seconds'] / 3600:.3f} hours")
        hours = solving(arguments.folder, case) / 3600
        columns = ("", "error", "first", "last", "ms", "")
        tables += ["", f"{title}, {hours:.3f} hours to solve"]
        tables += align(columns, rows(case, test, models), left=(0, 5))
        log.info("%s", "\n".join(tables))
    epochs = arguments.updates * BATCH / arguments.samples
    explained = EXPLANATION.format(
        batch=BATCH,
        rate=RATE,
        compared=COMPARED,
        differences=differences(arguments.samples, arguments.test, epochs),
    )
    print(*provenance(shlex.join(["python", "-m", "benchmarks.navier_stokes_fno", *sys.argv[1:]])), sep="\n")
    print("; ".join(f"{name} {version(name)}" for name in ("torch", "neuraloperator")) + ".")
    print("", *textwrap.wrap(explained.strip(), 118), *tables, sep="\n")


if __name__ == "__main__":
    main()
