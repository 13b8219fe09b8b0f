"""Inputs of other laws: which of them are flagged by their p-value, by the estimated error, or by neither.

python -m benchmarks.novelty > benchmarks/novelty.txt                    # about 5 minutes on busy cores
python -m benchmarks.novelty --recipe darcy --seeds 3
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.fields.errors import relative_l2
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.posing import first_systems
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.surrogates.fitted.baselines import BASELINES
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.uncertainty.novelty.ranks import Ranks
from ritz.compute.uncertainty.spread.defect import difference, sizes, step
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.prediction.estimated import TIMES
from ritz.tasks.recipes import load

log = logging.getLogger("benchmarks")

FRESH, OTHERS = 1000, 100
"""New inputs of the law itself, and of every other."""

TRAIN, TEST = 0.6, 0.15
"""Shares of the samples of a recipe."""

Change = Callable[[Arrays], Arrays]


@dataclass(frozen=True)
class Case:
    """Other inputs than those of a recipe.

    Attributes
    ----------
    laws
        By name, the fields of the problem that differ.
    units
        What the inputs are in another unit.
    """

    laws: Mapping[str, Mapping[str, Any]]
    units: tuple[str, Change]


LOGNORMAL = {"kind": "lognormal", "tau": 3.0, "alpha": 2.0, "sigma": 1.0}
PHASES = {"kind": "two_phase", "low": 3.0, "high": 12.0, "tau": 3.0, "alpha": 2.0}
DARCY = Case(
    {
        "other Gaussian law, α 2 → 1.75": {"law": LOGNORMAL | {"alpha": 1.75}},
        "other Gaussian law, α 2 → 1.5": {"law": LOGNORMAL | {"alpha": 1.5}},
        "other Gaussian law, τ 3 → 6": {"law": LOGNORMAL | {"tau": 6.0}},
        "other Gaussian law, σ 1 → 1.25": {"law": LOGNORMAL | {"sigma": 1.25}},
        "other Gaussian law, σ 1 → 1.5": {"law": LOGNORMAL | {"sigma": 1.5}},
        "two-phase, 3 and 12": {"law": PHASES},
    },
    ("millidarcy for darcy", lambda given: {"a": 1000 * given["a"]}),
)
CASES = {
    "darcy-recycled": DARCY,
    "darcy": DARCY,
    "heat": Case(
        {
            "other Gaussian law, α 2 → 1.5": {"law": LOGNORMAL | {"alpha": 1.5}},
            "other Gaussian law, σ 1 → 1.5": {"law": LOGNORMAL | {"sigma": 1.5}},
            "other first states, α 3 → 2": {"initial": {"tau": 5.0, "alpha": 2.0}},
            "two-phase, 3 and 12": {"law": PHASES},
        },
        ("Fahrenheit for Celsius", lambda given: given | {"u0": 1.8 * given["u0"] + 32}),
    ),
    "burgers": Case(
        {
            "other Gaussian law, α 2 → 1.6": {"law": {"tau": 5.0, "alpha": 1.6}},
            "other Gaussian law, τ 5 → 10": {"law": {"tau": 10.0, "alpha": 2.0}},
            "other Gaussian law, σ 0.6 → 0.9": {"amplitude": 0.9},
        },
        ("km/h for m/s", lambda given: {"u0": 3.6 * given["u0"]}),
    ),
}


def constant(given: Arrays, logs: tuple[str, ...]) -> Arrays:
    """Return every field with its mean at all points, where its logarithm is natural the geometric one."""
    found = {}
    for name, values in given.items():
        axes = tuple(range(1, values.ndim))
        own = np.log(values) if name in logs else values
        mean = np.broadcast_to(own.mean(axis=axes, keepdims=True), values.shape)
        found[name] = np.exp(mean) if name in logs else mean
    return found


def others(problem: Problem, case: Case, logs: tuple[str, ...]) -> dict[str, Arrays]:
    """Return inputs of other laws by name."""
    ids = np.arange(OTHERS)
    own = problem.draw(9, ids)
    found = {
        name: type(problem).model_validate({**problem.model_dump(), **changes}).draw(9, ids)
        for name, changes in case.laws.items()
    }
    if not any("two-phase" in name for name in found):
        found["two-phase, ± 1 deviation"] = {name: np.sign(values) * values.std() for name, values in own.items()}
    found["× 1e6"] = {name: 1e6 * values for name, values in own.items()}
    found["constant field"] = constant(own, logs)
    found[f"another unit, {case.units[0]}"] = case.units[1](own)
    return {name: {key: np.asarray(one, np.float32) for key, one in values.items()} for name, values in found.items()}


@dataclass(frozen=True)
class Judges:
    """What flags the inputs of one recipe."""

    problem: Problem
    ranks: Ranks
    model: Model
    largest: float

    def flagged(self, inputs: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return which inputs p flags, which predictions the estimated error, and the estimates, ``(n,)`` each."""
        prediction = self.model.predict(inputs)
        with np.errstate(all="ignore"):
            corrected, _ = step(self.problem, inputs, prediction, 0.01)
            error = sizes(difference(corrected, prediction)) / sizes(corrected)
        return self.ranks.judge(inputs).outside, ~(error <= TIMES * self.largest), error


def judges(recipe: Pipeline) -> Judges:
    """Draw and solve the samples of a recipe, and fit a surrogate and the ranks to them."""
    problem, count = recipe.problem, recipe.data.samples
    inputs = problem.draw(recipe.data.seed, np.arange(count))
    template = problem.template(1)
    train, test = round(TRAIN * count), round((TRAIN + TEST) * count)
    some = {name: values[:test] for name, values in inputs.items()}
    systems = first_systems(problem, {name: values[:4] for name, values in inputs.items()})
    solver = Auto() if systems is None else Auto().choose(systems, rtol=1e-8)[0]
    truth, _ = simulate(problem, some, solver, 1e-8)
    fields = {name: values[:train].astype(np.float32) for name, values in (some | truth).items()}
    model = Model.fitted(BASELINES["quadratic"], Normalisation.fit(template, fields), [fields])
    prediction = model.predict({name: values[train:] for name, values in some.items()})
    errors = np.mean([relative_l2(prediction[name], values[train:]) for name, values in truth.items()], axis=0)
    return Judges(problem, ranked(problem, inputs), model, float(errors.max()))


def ranked(problem: Problem, inputs: Arrays) -> Ranks:
    """Fit the ranks to known inputs."""
    template = problem.template(1)
    dimensions = Dimensions.of(template)
    logs = tuple(name for name in dimensions.inputs if template[name].attrs["transform"] == "log")
    return Ranks.fit(inputs, logs, dimensions)


def alarms(problem: Problem, count: int, seeds: int) -> str:
    """Return how often the law itself is flagged by p: the mean over datasets with its interval, and the range."""
    shares = []
    for seed in range(seeds):
        known = ranked(problem, problem.draw(100 + seed, np.arange(count)))
        shares.append(float(known.judge(problem.draw(500 + seed, np.arange(FRESH))).outside.mean()))
    half = 1.96 * np.std(shares, ddof=1) / np.sqrt(seeds)
    most = int(np.sum(np.array(shares) <= 0.02))
    return (
        f"{100 * np.mean(shares):.2f} ± {100 * half:.2f} % of {FRESH} fresh inputs over {seeds} datasets of {count} "
        f"({100 * min(shares):.1f} to {100 * max(shares):.1f} %; at most 2 % in {most})"
    )


COLUMNS = ("recipe", "known", "inputs", "n", "by p", "by error", "by either", "median error", "largest in test")
EXPLANATION = """
by p: share of the inputs whose conformal p-value among the inputs of the recipe is below 1 %. by error: share of the
predictions whose error, as one step of the problem's iteration estimates it, is more than {times} times the largest of
the test samples, or has no estimate. by either: what `ritz predict` flags. The surrogate is the quadratic baseline on
principal components, fitted to 60 % of the samples; the p-value does not depend on it.
"""


def main() -> None:
    """Print the tables."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", action="append", choices=CASES, help="may be given often; all by default")
    parser.add_argument("--seeds", type=int, default=20, help="datasets over which false alarms are counted")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    command = shlex.join(["python", "-m", "benchmarks.novelty", *sys.argv[1:]])
    print(*provenance(command), EXPLANATION.format(times=TIMES), sep="\n", flush=True)
    lines, told = [], []
    for name in arguments.recipe or CASES:
        log.info("%s", name)
        recipe = load(name)
        known = judges(recipe)
        count, logs = recipe.data.samples, known.ranks.logs
        fresh = known.problem.draw(8, np.arange(FRESH))
        for title, inputs in {"the law itself": fresh, **others(known.problem, CASES[name], logs)}.items():
            p, far, error = known.flagged(inputs)
            shares = [f"{100 * one.mean():.1f} %" for one in (p, far, p | far)]
            median = f"{np.nanmedian(error):.3g}" if np.isfinite(error).any() else "–"
            lines.append([name, str(count), title, str(len(p)), *shares, median, f"{known.largest:.3g}"])
            log.info("  %s", " | ".join(lines[-1]))
        told.append(f"{name}: p flags {alarms(known.problem, count, arguments.seeds)}")
    print(*align(COLUMNS, lines, left=(0, 2)), "", "The law itself, datasets and inputs drawn anew:", *told, sep="\n")


if __name__ == "__main__":
    main()
