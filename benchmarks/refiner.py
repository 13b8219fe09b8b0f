"""Steps that are refined in passes beside steps that are trained on their one-step error, on chaotic flames.

    python -m benchmarks.refiner > benchmarks/refiner.txt                        # about 5 minutes on one core
    python -m benchmarks.refiner --part noise > benchmarks/refiner-noise.txt     # about 3 minutes: how noise begins

Both train the same network for as many steps on the same pairs of states, from several seeds.
"""

from __future__ import annotations

import argparse
import logging
import math
import shlex
import sys
import textwrap
import time
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import scipy.stats

from benchmarks.lyapunov import no_systems
from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.evaluation.metric import Subject
from ritz.compute.evaluation.rollouts.valid_time import ValidTime
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.problem import Arrays
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.rollout.refiner import Refiner
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.training.offline import Offline
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.epochs import InMemory
from ritz.compute.training.samples.supply import Given
from ritz.compute.training.surroundings import Surroundings

log = logging.getLogger("benchmarks")

POINTS, LENGTH, STEP = 128, 64.0, 0.5
TRAIN = KuramotoSivashinsky(points=POINTS, length=LENGTH, steps=160, store_every=4, end=20.0, spin_up=400)
TEST = KuramotoSivashinsky(points=POINTS, length=LENGTH, steps=400, store_every=4, end=50.0, spin_up=400)
TRAINED, TESTED, FIRST_TEST = 128, 32, 10_000
NETWORK = FNO(modes=POINTS, width=16, layers=4, coordinates=False)
PASSES, SMALLEST = 3, 1e-3
SEEDS, EPOCHS = (0, 1, 2, 3, 4), 30
BANDS = {"all": (0, 65), "1 to 7": (1, 8), "8 to 15": (8, 16), "16 to 23": (16, 24), "24 to 64": (24, 65)}
"""Wave numbers of what is measured, those of 128 points; the equation keeps products up to 42."""
LARGEST = (1.0, 0.3)
"""Deviations of the largest noise beside that of a change in one step, in those of the states."""
FEW = 3
"""Seeds of the comparison of these."""
DRAWS, MOMENTS = 4, (1.0, 5.0, 10.0, 15.0)
"""Draws whose spread is measured, and when."""

EXPLANATION = f"""
Kuramoto–Sivashinsky equation, L = {LENGTH:g}, {POINTS} points, a step of {STEP}; {TRAINED} trajectories of
{TRAIN.end:g} to train on, {TESTED} of {TEST.end:g} to test, on the attractor. Both methods train an FNO of
{NETWORK.width} channels and {NETWORK.layers} layers with all modes for {EPOCHS} epochs, that is as many steps on as
many pairs; "one-step" on the error of a step, "refiner" with {PASSES} passes, whose noise falls from the deviation of
a change in one step to {SMALLEST:g} deviations of the states. {len(SEEDS)} seeds; in brackets 95 % intervals by
Student's t over the seeds, of ratios by their logarithms. error k: root mean square error of one step from true
states, of wave numbers k, in deviations of the states; valid time: until the correlation with the truth falls below
0.8 (metric valid_time); CPU: of a training. ρ at t: rank correlation over the test trajectories, at one time, of the
standard deviation of {DRAWS} draws and the error of the prediction: never over several times, at which both grow.
"""


def solved(problem: KuramotoSivashinsky, first: int, count: int) -> Arrays:
    """Return inputs and outputs of some samples, as they are stored."""
    inputs = problem.draw(0, np.arange(first, first + count))
    outputs = problem.simulate(inputs, no_systems)
    return {name: values.astype(np.float32) for name, values in (inputs | outputs).items()}


def refiner(fields: Arrays, largest: float | None = None) -> Refiner:
    """Return the method; its largest noise is as large as the changes of the states in one step unless given."""
    change = np.diff(fields["u"], axis=1).std() / fields["u"].std()
    deviation = round(float(change), 3) if largest is None else largest
    return Refiner(inner=NETWORK, passes=PASSES, largest=deviation, smallest=SMALLEST)


def trained(surrogate: Stepping, fields: Arrays, seed: int) -> tuple[Model, float]:
    """Return a model, and the seconds of the processor that its training took."""
    ids, none = np.arange(TRAINED), {name: values[:0] for name, values in fields.items()}
    nothing = Block(0, np.empty(0, np.int64), np.empty(0, str), none)
    supply = Given(TRAIN.template(1), lambda _: nothing, fixed=InMemory(ids, fields, (ids[:0], none), seed))
    began = time.process_time()
    model = Offline(epochs=EPOCHS, seed=seed).fit(surrogate, supply, Surroundings()).model
    return model, time.process_time() - began


def in_bands(error: np.ndarray) -> dict[str, float]:
    """Return the root mean square error, ``(n, x)``, of wave numbers."""
    energy = np.square(np.abs(np.fft.rfft(error.astype(np.float64)))).mean(axis=0) / POINTS**2
    energy[1:-1] *= 2
    return {f"error {name}": math.sqrt(energy[first:end].sum()) for name, (first, end) in BANDS.items()}


def one_step(predictions: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """Return the errors of states one step on, in deviations of the states."""
    return {name: value / float(after.std()) for name, value in in_bands(predictions - after).items()}


def valid_time(prediction: np.ndarray, test: Arrays) -> float:
    """Return the mean over trajectories, whose predictions are ``(n, time, x)``."""
    inputs, times = {"u0": test["u0"]}, prediction.shape[1]
    dimensions = Dimensions.of(TEST.prolonged(times).template(1))
    subject = Subject(inputs, {"u": prediction}, {"u": test["u"][:, :times]}, dimensions, TEST)
    return float(ValidTime().measured(subject)[""].mean())


Row = dict[str, float]


def measured(model: Model, test: Arrays) -> dict[str, Row]:
    """Return what is measured of a model, by the way it predicts."""
    before = np.concatenate([test["u0"][:, None], test["u"][:, :-1]], axis=1)[:, ::10].reshape(-1, POINTS)
    after = test["u"][:, ::10].reshape(-1, POINTS)
    times = tuple(STEP * (k + 1) for k in range(test["u"].shape[1]))
    rollout = model.rollout(test, times)["u"]
    found = {"prediction": one_step(model.rollout({"u0": before}, (STEP,))["u"][:, 0], after)}
    found["prediction"]["valid time"] = valid_time(rollout, test)
    if not model.surrogate.stochastic:
        return found
    drawn = model.sample_rollout({"u0": before}, (STEP,), DRAWS, 0)["u"][:, :, 0]
    found["draw"], found[f"mean of {DRAWS} draws"] = one_step(drawn[0], after), one_step(drawn.mean(axis=0), after)
    found["draw"]["valid time"] = valid_time(model.sample_rollout(test, times, 1, 1)["u"][0], test)
    near = times[: round(MOMENTS[-1] / STEP)]
    spread = model.sample_rollout(test, near, DRAWS, 2)["u"].astype(np.float64).std(axis=0, ddof=1)
    error = np.abs(rollout - test["u"])[:, : len(near)].astype(np.float64)
    for moment in MOMENTS:
        k = round(moment / STEP) - 1
        of_spread, of_error = (np.sqrt(np.square(one[:, k]).mean(axis=-1)) for one in (spread, error))
        found["prediction"][f"ρ at {moment:g}"] = float(scipy.stats.spearmanr(of_spread, of_error).statistic)
    return found


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return a mean and the ends of its interval of 95 % by Student's t."""
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))
    half = float(scipy.stats.t.ppf(0.975, len(values) - 1)) * error
    return mean, mean - half, mean + half


def ratio(above: Sequence[float], below: Sequence[float]) -> tuple[float, float, float]:
    """Return the geometric mean of paired ratios, with its interval."""
    mean, low, high = interval(np.log(np.array(above) / np.array(below)).tolist())
    return math.exp(mean), math.exp(low), math.exp(high)


def shown(numbers: tuple[float, float, float]) -> str:
    mean, low, high = numbers
    return f"{mean:.3g} [{low:.3g}, {high:.3g}]"


def table(plain: Sequence[Row], refined: Sequence[Row]) -> list[str]:
    """Return both methods side by side."""
    lines = []
    for name in plain[0]:
        one, other = [row[name] for row in plain], [row[name] for row in refined]
        paired = interval([b - a for a, b in zip(one, other, strict=True)])
        compared = f"{shown(paired)} difference" if name == "valid time" else f"{shown(ratio(other, one))} ×"
        lines.append([name.replace("error ", "error k "), shown(interval(one)), shown(interval(other)), compared])
    return align(("", "one-step", "refiner", "refiner against one-step"), lines, left=(0,))


def verdicts(plain: Sequence[Row], refined: Sequence[Row]) -> list[str]:
    """Return what was asked for and what was reached."""
    asked = {"error 24 to 64": 0.5, "error all": 1.5}
    found = []
    for name, bound in asked.items():
        value = ratio([row[name] for row in refined], [row[name] for row in plain])
        met = "reached" if value[2] <= bound else "reached in the mean alone" if value[0] <= bound else "NOT reached"
        found.append(f"{name.replace('error', 'error k')} at most {bound:g} × that of one-step: {shown(value)}, {met}")
    longer = interval([b["valid time"] - a["valid time"] for a, b in zip(plain, refined, strict=True)])
    met = "reached" if longer[1] > 0 else "NOT reached"
    found.append(f"a longer valid time than one-step: by {shown(longer)}, {met}")
    return found


def compared(fields: Arrays, test: Arrays) -> list[str]:
    """Return errors and valid times by the size of the largest noise."""
    names, lines = ("error all", "error 24 to 64", "valid time"), []
    for refining in (refiner(fields, largest) for largest in (*LARGEST, None)):
        rows = []
        for seed in SEEDS[:FEW]:
            rows.append(measured(trained(refining, fields, seed)[0], test)["prediction"])
            log.info("largest %g, seed %d: %s", refining.largest, seed, rows[-1])
        lines.append([f"{refining.largest:g}", *(shown(interval([row[name] for row in rows])) for name in names)])
    heads = ("largest", "error k all", "error k 24 to 64", "valid time")
    said = f"Deviation of the largest noise, {FEW} of the seeds; that of a change in one step is {lines[-1][0]}"
    return [said, *align(heads, lines)]


def side_by_side(fields: Arrays, test: Arrays) -> list[str]:
    """Return the refiner beside steps that are trained on their one-step error."""
    refining = refiner(fields)
    # The libraries of the network load outside of the clock.
    NETWORK.build(1, 1, 1)
    plain: list[Row] = []
    ways: dict[str, list[Row]] = {}
    for seed in SEEDS:
        model, seconds = trained(Stepping(inner=NETWORK), fields, seed)
        plain.append({"CPU, s": seconds} | measured(model, test)["prediction"])
        model, seconds = trained(refining, fields, seed)
        for way, row in measured(model, test).items():
            ways.setdefault(way, []).append({"CPU, s": seconds} | row)
        log.info("seed %d: %s %s", seed, plain[-1], {way: rows[-1] for way, rows in ways.items()})
    refined = ways["prediction"]
    names = ("error all", "error 24 to 64", "valid time")
    lines = [
        [way, *(shown(interval([row[name] for row in rows])) if name in rows[0] else "–" for name in names)]
        for way, rows in ways.items()
    ]
    moments = [[f"{moment:g}", shown(interval([row[f"ρ at {moment:g}"] for row in refined]))] for moment in MOMENTS]
    return [
        *table(plain, refined),
        "",
        *verdicts(plain, refined),
        "",
        "How the refiner predicts: by passes without noise, or by draws",
        *align(("way", "error k all", "error k 24 to 64", "valid time"), lines, left=(0,)),
        "",
        "Spread of draws against the error of the prediction",
        *align(("t", "ρ"), moments, left=(0,)),
    ]


PARTS = {"methods": side_by_side, "noise": compared}


def main() -> None:
    """Print the tables of a part."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, default="methods", help="what is compared")
    part = parser.parse_args().part
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    found = PARTS[part](solved(TRAIN, 0, TRAINED), solved(TEST, FIRST_TEST, TESTED))
    print(*provenance(shlex.join(["python", "-m", "benchmarks.refiner", *sys.argv[1:]])), sep="\n")
    print("; ".join(f"{name} {version(name)}" for name in ("torch", "neuraloperator")) + ".")
    print("", *textwrap.wrap(EXPLANATION.strip(), 118), "", *found, sep="\n")


if __name__ == "__main__":
    main()
