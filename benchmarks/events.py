"""Probabilities of an event along streams: fitted once, or set right again by every outcome.

python -m benchmarks.events > benchmarks/events.txt                    # about 10 minutes on one core
python -m benchmarks.events --seeds 3
"""

from __future__ import annotations

import argparse
import logging
import math
import shlex
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.problem import Arrays
from ritz.compute.simulation.quickest import quickest
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.solver import Solver
from ritz.compute.surrogates.fitted.baselines import BASELINES
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.uncertainty.events.calibeating import Calibeating
from ritz.compute.uncertainty.events.exceedance import exceedance
from ritz.compute.uncertainty.events.online_gradient import OnlineGradient
from ritz.compute.uncertainty.events.online_newton import OnlineNewton
from ritz.compute.uncertainty.events.platt import Platt
from ritz.compute.uncertainty.events.recalibration import Recalibration
from ritz.compute.uncertainty.events.reliability import brier, calibration_error

log = logging.getLogger("benchmarks")

LENGTH, FIRST, SEEDS, REAL_SEEDS = 5000, 500, 20, 5
"""Samples of a stream, those that static Platt is fitted to, and the streams."""

STATIC = "static Platt"
METHODS: Mapping[str, Recalibration] = {
    STATIC: Platt(samples=FIRST),
    "online gradient, rate 0.02": OnlineGradient(rate=0.02),
    "online gradient": OnlineGradient(),
    "online gradient, rate 0.1": OnlineGradient(rate=0.1),
    "online Newton": OnlineNewton(),
    "online gradient, calibeating": Calibeating(inner=OnlineGradient()),
    "online Newton, calibeating": Calibeating(inner=OnlineNewton()),
}

EXPLANATION = f"""
Streams of {LENGTH} samples; all figures are of the last half, means over the seeds with their standard errors. A
probability is given before the outcome arrives. Synthetic: the raw logit ℓ has the deviation 2, the true one is
a ℓ + b, t runs from 0 to 1 along the stream; one outcome arrives at a time; {{seeds}} seeds. Darcy: 32², the event is
that the largest pressure is above the largest 20% of the law with σ = 1; the raw probability is that of the errors of
a quadratic regression, fitted to 200 solves, on 200 others of that law; σ rises from 1 to 1.5 along the stream in steps
of 100 samples, or stays; outcomes arrive 20 at a time; {{real}} seeds, all solved. {STATIC}: fitted to the first
{FIRST} outcomes. online gradient: rate 0.05 unless it is named. ratio: Brier score over that of {STATIC}. calibration
error: in 10 bins. less: in how many of the streams both are below those of {STATIC}. truth: by the true probabilities.
"""


@dataclass(frozen=True)
class Stream:
    """Raw probabilities and outcomes in the order of arrival, ``(n,)`` each; the true probabilities where known."""

    raw: np.ndarray
    outcomes: np.ndarray
    true: np.ndarray | None = None


Path = Callable[[np.ndarray], np.ndarray]

PATHS: dict[str, tuple[Path, Path]] = {
    "offset drifts: b = 3t": (np.ones_like, lambda t: 3 * t),
    "both drift: a = 1 − 0.7t, b = 2t": (lambda t: 1 - 0.7 * t, lambda t: 2 * t),
    "season: b = 2 sin 2πt": (np.ones_like, lambda t: 2 * np.sin(2 * math.pi * t)),
    "jump: b = 2 after the middle": (np.ones_like, lambda t: 2.0 * (t >= 0.5)),
    "i.i.d., wrong: a = 0.5, b = 1": (lambda t: np.full_like(t, 0.5), np.ones_like),
    "i.i.d., right: a = 1, b = 0": (np.ones_like, np.zeros_like),
}


def synthetic(slope: Path, offset: Path, seed: int) -> Stream:
    """Draw a stream."""
    rng = np.random.default_rng(seed)
    logits, t = 2 * rng.standard_normal(LENGTH), np.arange(LENGTH) / LENGTH
    true = 1 / (1 + np.exp(-(slope(t) * logits + offset(t))))
    return Stream(1 / (1 + np.exp(-logits)), rng.random(LENGTH) < true, true)


def darcy(sigma: float) -> Darcy:
    """Return the problem with a law of such a deviation."""
    return Darcy.model_validate({"shape": (32, 32), "law": {"kind": "lognormal", "sigma": sigma}})


@dataclass(frozen=True)
class Events:
    """A regression, the errors of its predictions on other samples, and the threshold of the event."""

    solver: Solver
    model: Model
    errors: np.ndarray
    threshold: float

    @classmethod
    def fit(cls, seed: int) -> Events:
        """Solve samples of the law with σ = 1 and fit to some of them."""
        problem = darcy(1.0)
        solver = quickest(problem, problem.draw(seed, np.arange(4)), RTOL)
        fields = solved(problem, solver, seed, np.arange(2 * TRAIN + 2000))
        train, calibrate = ({name: v[part] for name, v in fields.items()} for part in (TRAINED, CALIBRATED))
        model = Model.fitted(BASELINES["quadratic"], Normalisation.fit(problem.template(1), train), [train])
        errors = largest(calibrate) - largest(model.predict(calibrate))
        return cls(solver, model, errors, float(np.quantile(largest(fields)[2 * TRAIN :], 0.8)))

    def arriving(self, last: float, seed: int) -> Stream:
        """Solve a stream whose σ goes from 1 to the last."""
        raw, outcomes = [], []
        for sigma, start in zip(np.linspace(1, last, LENGTH // 100), range(0, LENGTH, 100), strict=True):
            fields = solved(darcy(float(sigma)), self.solver, seed, 10**6 + np.arange(start, start + 100))
            raw.append(exceedance(largest(self.model.predict(fields)), self.errors, self.threshold))
            outcomes.append(largest(fields) > self.threshold)
        return Stream(np.concatenate(raw), np.concatenate(outcomes))


RTOL, TRAIN = 1e-8, 200
TRAINED, CALIBRATED = slice(TRAIN), slice(TRAIN, 2 * TRAIN)


def solved(problem: Darcy, solver: Solver, seed: int, ids: np.ndarray) -> Arrays:
    """Draw and solve samples."""
    inputs = problem.draw(seed, ids)
    fields, ledger = simulate(problem, inputs, solver, RTOL)
    if set(ledger["status"]) != {"ok"}:
        raise RuntimeError(f"samples {ids[0]} to {ids[-1]} were not all solved")
    return {name: values.astype(np.float32) for name, values in (inputs | fields).items()}


def largest(fields: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the largest pressure of each sample."""
    return np.asarray(fields["u"].max(axis=(1, 2)), np.float64)


def measured(stream: Stream, block: int) -> dict[str, tuple[float, float]]:
    """Return Brier score and calibration error of the last half by method."""
    found = {"raw": stream.raw}
    found |= {name: method.stream(stream.raw, stream.outcomes, block) for name, method in METHODS.items()}
    if stream.true is not None:
        found["truth"] = stream.true
    half = slice(len(stream.raw) // 2, None)
    return {
        name: (brier(p[half], stream.outcomes[half]), calibration_error(p[half], stream.outcomes[half]))
        for name, p in found.items()
    }


def rows(title: str, seeds: list[dict[str, tuple[float, float]]]) -> list[list[str]]:
    """Return the lines of one kind of stream."""
    lines = []
    static = np.array([one[STATIC] for one in seeds])
    for name in seeds[0]:
        own = np.array([one[name] for one in seeds])
        mean, error = own.mean(axis=0), own.std(axis=0, ddof=1) / np.sqrt(len(seeds))
        ratio = own[:, 0] / static[:, 0]
        less = int(np.sum(np.all(own < static, axis=1)))
        lines.append(
            [
                "" if lines else title,
                name,
                f"{mean[0]:.4f} ± {error[0]:.4f}",
                f"{ratio.mean():.3f} ± {ratio.std(ddof=1) / np.sqrt(len(seeds)):.3f}",
                f"{mean[1]:.3f} ± {error[1]:.3f}",
                "" if name == STATIC else f"{less}/{len(seeds)}",
            ]
        )
    return lines


def main() -> None:
    """Print the table."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of the synthetic streams, 2 or more")
    parser.add_argument("--real-seeds", type=int, default=REAL_SEEDS, help="of the solved streams, 2 or more")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    command = shlex.join(["python", "-m", "benchmarks.events", *sys.argv[1:]])
    about = EXPLANATION.format(seeds=arguments.seeds, real=arguments.real_seeds)
    print(*provenance(command), "", *textwrap.wrap(about.strip(), 118), "", sep="\n", flush=True)
    lines = []
    for title, (slope, offset) in PATHS.items():
        seeds = range(arguments.seeds)
        lines += rows(title, [measured(synthetic(slope, offset, seed), 1) for seed in seeds])
        log.info("%s", title)
    events = [Events.fit(seed) for seed in range(arguments.real_seeds)]
    for title, last in (("Darcy, σ from 1 to 1.5", 1.5), ("Darcy, σ = 1", 1.0)):
        lines += rows(title, [measured(one.arriving(last, seed), 20) for seed, one in enumerate(events)])
        log.info("%s", title)
    columns = ("stream", "probabilities", "Brier score", "ratio", "calibration error", "less")
    print(*align(columns, lines, left=(0, 1)), sep="\n")


if __name__ == "__main__":
    main()
