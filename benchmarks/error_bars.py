"""Error bars of every family, learnt and by the equations: on the law of the calibration, on a shift and on other laws.

    python -m benchmarks.error_bars > benchmarks/error_bars.txt                 # about 10 minutes on one core
    python -m benchmarks.error_bars --recipe heat --recipe burgers

The surrogate is a quadratic regression on principal components, fitted to solved samples of the recipe's law: its
errors are those of a real surrogate, and all that is measured takes minutes.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.posing import all_systems
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.solver import Solver
from ritz.compute.surrogates.fitted.baselines import BASELINES
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.spread.defect import Defect, difference, sizes, step
from ritz.compute.uncertainty.spread.learnt import Learnt
from ritz.compute.uncertainty.spread.spread import Spread, Unsuitable
from ritz.tasks.recipes import load

log = logging.getLogger("benchmarks")

SEED, RTOL, LEVEL, POINTS = 0, 1e-8, 0.9, 100_000
TRAIN, VALIDATE, CALIBRATE, TEST = 384, 48, 96, 96

SHIFTS: Mapping[str, Mapping[str, Any]] = {
    "darcy": {"law": {"sigma": 1.5}},
    "darcy-3d": {"law": {"sigma": 1.5}},
    "poisson": {"source": {"tau": 15.0}},
    "elliptic": {"law": {"sigma": 1.0}, "strength": 150.0},
    "convection": {"law": {"tau": 10.0, "alpha": 2.0}},
    "helmholtz": {"variation": 0.06},
    "heat": {"law": {"sigma": 1.5}},
    "burgers": {"amplitude": 0.9},
}
"""The shift of each recipe."""

OTHERS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "darcy": ({"law": {"tau": 5.0}}, {"law": {"alpha": 1.7}}, {"law": {"kind": "two_phase", "low": 2.0, "high": 20.0}}),
    "darcy-3d": (
        {"law": {"tau": 5.0}},
        {"law": {"alpha": 1.7}},
        {"law": {"kind": "two_phase", "low": 2.0, "high": 20.0}},
    ),
    "poisson": ({"strength": 120.0}, {"walls": {"tau": 12.0}}, {"source": {"alpha": 3.0}}),
    "elliptic": ({"law": {"tau": 6.0}}, {"growth": 1.0, "strength": 60.0}, {"source": {"tau": 9.0}}),
    "convection": ({"law": {"tau": 2.5}}, {"law": {"alpha": 2.4}}, {"law": {"tau": 8.0, "alpha": 4.0}}),
    "helmholtz": ({"law": {"tau": 10.0}}, {"law": {"alpha": 3.0}}, {"variation": 0.03}),
    "heat": ({"law": {"tau": 6.0}}, {"initial": {"tau": 9.0}}, {"law": {"kind": "two_phase", "low": 0.5, "high": 4.0}}),
    "burgers": ({"law": {"tau": 8.0}}, {"law": {"alpha": 3.0}}, {"amplitude": 0.4}),
}
"""Three further laws of each, chosen when the code was finished and run once."""


@dataclass(frozen=True)
class Sample:
    """Solved inputs of one law, and who predicts them."""

    inputs: Arrays
    truth: Arrays

    def predicted(self, model: Model) -> Predicted:
        return Predicted(self.inputs, model.predict(self.inputs), self.truth)


def law(problem: Problem, changes: Mapping[str, Any]) -> Problem:
    """Return the problem with another law of its inputs; a law of another kind has that one's defaults."""
    document = problem.model_dump(mode="json")
    for name, value in changes.items():
        old = document[name]
        same = isinstance(value, Mapping) and value.get("kind", old.get("kind")) == old.get("kind")
        document[name] = {**old, **value} if same else value
    return type(problem).model_validate(document)


def solved(problem: Problem, ids: np.ndarray, solver: Solver) -> Sample:
    """Solve some samples, in blocks, and round them as they are stored."""
    inputs = problem.draw(SEED, ids)
    parts = []
    for first in range(0, len(ids), 32):
        fields, ledger = simulate(
            problem, {name: values[first : first + 32] for name, values in inputs.items()}, solver, RTOL
        )
        assert set(ledger["status"]) == {"ok"}, ledger["reason"]
        parts.append(fields)
    truth = {name: np.concatenate([part[name] for part in parts]).astype(np.float32) for name in parts[0]}
    return Sample(inputs, truth)


def relative(fields: Mapping[str, np.ndarray], truth: Arrays) -> np.ndarray:
    """Return relative L2 errors of all outputs together, ``(n,)``."""
    found: np.ndarray = sizes(difference(fields, truth)) / sizes(truth)
    return found


def ranked(problem: Problem, test: Predicted) -> tuple[float, float, list[float]]:
    """Return the rank correlations of estimate and error by point and by sample, and the errors of the steps."""
    once, _ = step(problem, test.inputs, test.prediction, Defect().rtol)
    twice, _ = step(problem, test.inputs, once, Defect().rtol)
    estimate, error = difference(once, test.prediction), difference(test.truth, test.prediction)
    points = [np.concatenate([np.abs(part[name]).ravel() for name in test.truth]) for part in (estimate, error)]
    drawn = np.random.default_rng(SEED).integers(0, len(points[0]), POINTS)
    by_point = scipy.stats.spearmanr(points[0][drawn], points[1][drawn]).statistic
    by_sample = scipy.stats.spearmanr(sizes(estimate) / sizes(once), relative(test.prediction, test.truth)).statistic
    errors = [float(relative(fields, test.truth).mean()) for fields in (test.prediction, once, twice)]
    return float(by_point), float(by_sample), errors


def rows(recipe: str) -> list[list[str]]:
    """Measure one family."""
    problem: Problem = load(recipe).problem
    posed = all_systems(problem, problem.draw(SEED, np.arange(5)), Direct(), RTOL)
    solver = Auto().choose(posed if len(posed) > 1 else posed[0], RTOL)[0]
    ends = np.cumsum([0, TRAIN, VALIDATE, CALIBRATE, TEST])
    train, validate, calibrate, test = (solved(problem, np.arange(first, end), solver) for first, end in pairwise(ends))
    template = problem.template(1)
    fields = train.inputs | train.truth
    model = Model.fitted(BASELINES["quadratic"], Normalisation.fit(template, fields), [fields])
    logs = {str(name): one.attrs["transform"] for name, one in template.data_vars.items()}
    about = About(logs, Dimensions.of(template), problem)
    bands = {}
    spreads: dict[str, Spread] = {"learnt": Learnt(), "defect": Defect()}
    for name, spread in spreads.items():
        try:
            method = Conformal(levels=(LEVEL,), spread=spread)
            bands[name] = method.calibrate(validate.predicted(model), calibrate.predicted(model), about)
        except Unsuitable as reason:
            log.info("%s: %s is refused: %s", recipe, name, reason)
    changes = [{}, SHIFTS.get(recipe, {}), *OTHERS.get(recipe, ())]
    found = []
    for kind, change in zip(("test", "shift", "law 1", "law 2", "law 3"), changes, strict=False):
        if kind != "test" and not change:
            continue
        other = law(problem, change)
        sample = test if not change else solved(other, np.arange(10_000, 10_000 + TEST), solver)
        here = sample.predicted(model)
        by_point, by_sample, errors = ranked(problem, here)
        covered = {name: one.measure(here)[0] for name, one in bands.items()}
        learnt, defect = covered["learnt"], covered.get("defect")
        assert learnt.fields is not None
        line = [recipe if kind == "test" else "", kind, f"{by_point:.3f}", f"{by_sample:.3f}"]
        line += ["0" if error < 1e-6 else f"{100 * error:.2g}" for error in errors]
        line += [f"{100 * learnt.measured:.1f}", f"{100 * learnt.fields.inside / learnt.fields.of:.0f}"]
        if defect is None or defect.fields is None:
            line += ["–", "–", "–"]
        else:
            document = defect.document()
            line += [
                f"{100 * defect.measured:.1f} [{100 * document['low']:.1f}, {100 * document['high']:.1f}]",
                f"{100 * defect.fields.inside / defect.fields.of:.0f}",
                f"{learnt.width / defect.width:.3g}",
            ]
        line.append(" ".join(f"{name}: {value}" for name, value in change.items()).replace("'", ""))
        found.append(line)
    return found


COLUMNS = (
    *("recipe", "law", "point", "sample", "error %", "after one", "after two", "learnt points", "fields"),
    *("defect points", "fields", "narrower", ""),
)
EXPLANATION = f"""
{TRAIN} samples of the recipe's law fit the surrogate (pca_ridge, quadratic), {VALIDATE} more shape the bands,
{CALIBRATE} calibrate them, {TEST} each of every law are measured. point, sample: Spearman's rank correlation of the
estimate by one step (Problem.corrected, systems answered by Estimate) with the error, at points and over samples. error
%: mean relative L2 of the surrogate, after one step, after two (0: below 1e-6, the rounding of float32). points,
fields: percent of the points inside the {LEVEL:.0%} bands, and of the fields that are wholly inside those around whole
fields; for defect, which lie around the corrected field, with the interval of 95 % that counts samples. narrower: mean
width of the learnt bands over that of defect. shift is the one of each family that was fixed beforehand; laws 1 to 3
were chosen when the code was finished and run once.
"""


def main() -> None:
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--recipe", action="append", choices=sorted([*OTHERS, "plate"]), help="one of them; may be repeated"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    logging.getLogger("ritz").setLevel(logging.ERROR)
    lines = []
    for recipe in arguments.recipe or [*OTHERS, "plate"]:
        log.info("%s …", recipe)
        lines += rows(recipe)
    print("\n".join(provenance(shlex.join(["python", "-m", "benchmarks.error_bars", *sys.argv[1:]]))))
    print("\n" + "\n".join(textwrap.wrap(EXPLANATION.strip(), 118)) + "\n")
    print("\n".join(align(COLUMNS, lines, left=(0, 1, 12))))


if __name__ == "__main__":
    main()
