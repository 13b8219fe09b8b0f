"""Candidates selected by surrogates whose model was fixed, chosen by the calibration samples, or by others.

python -m benchmarks.selection > benchmarks/selection.txt                    # about 4 minutes on one core
python -m benchmarks.selection --trials 20
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
from collections.abc import Mapping

import numpy as np

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.problem import Arrays
from ritz.compute.simulation.quickest import quickest
from ritz.compute.simulation.simulate import simulate
from ritz.compute.surrogates.fitted.pca_ridge import PCARidge
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.uncertainty.selection.conformal_selection import ConformalSelection

log = logging.getLogger("benchmarks")

PROBLEM = Darcy(shape=(32, 32))

CANDIDATES, CALIBRATE, CHOOSE, TRIALS = 300, 200, 100, 200
"""Samples of a trial, all of them fresh, and the trials."""

LEVEL, SHARE, RTOL = 0.1, 0.2, 1e-8
"""False discovery rate, and the share of all samples that pass."""

TRAIN = 200
"""Training samples of a model."""

EXPLANATION = f"""
Darcy 32², log-normal law; what passes is a sample whose largest pressure is among the largest {SHARE:.0%} of the law
(the threshold is that of 2000 other solves). A trial has {CANDIDATES} candidates and {CALIBRATE} calibration samples,
and for the choice of a model {CHOOSE} samples more, all drawn and solved anew; level {LEVEL:.0%}. Models are
regressions on principal components, fitted to {TRAIN} solved samples. false: percent of those selected that fail, the
mean over trials with its standard error (none selected counts as 0). power: percent of those that pass that are
selected. fixed: by one model in all trials. split choice: by the model that `ConformalSelection.best` takes by the
samples for the choice. naive choice: by the model that selects most candidates, the calibration samples being those of
the choice. prediction alone: what the first model predicts to pass, without calibration. mean of five: one of the
models taken without looking; calibrated on all: with the {CHOOSE} samples for the choice as calibration samples too.
"""

ALIKE = {f"quadratic, sample {k}": PCARidge(degree=2, components=(16,)) for k in "ABCDE"}
"""The same regression, of other training samples each."""

UNLIKE = {
    "linear, 4 components": PCARidge(components=(4,)),
    "linear, 16": PCARidge(components=(16,)),
    "linear, 48": PCARidge(components=(48,)),
    "quadratic, 4": PCARidge(degree=2, components=(4,)),
    "quadratic, 16": PCARidge(degree=2, components=(16,)),
}
"""Other regressions of the same training samples."""


MEAN, MEAN_OF_ALL = "fixed: mean of five", "fixed: mean of five, calibrated on all"


class Pool:
    """Draws and solves samples that were not there before."""

    def __init__(self) -> None:
        self.solver = quickest(PROBLEM, PROBLEM.draw(0, np.arange(4)), RTOL)
        self.next = 0

    def take(self, count: int) -> Arrays:
        """Return inputs and outputs of fresh samples."""
        ids = np.arange(self.next, self.next + count)
        self.next += count
        inputs = PROBLEM.draw(0, ids)
        fields, ledger = simulate(PROBLEM, inputs, self.solver, RTOL)
        if set(ledger["status"]) != {"ok"}:
            raise RuntimeError(f"samples {ids[0]} to {ids[-1]} were not all solved")
        return {name: values.astype(np.float32) for name, values in (inputs | fields).items()}


def quantity(fields: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the largest pressure of each sample."""
    return np.asarray(fields["u"].max(axis=(1, 2)), np.float64)


def fitted(regressions: Mapping[str, PCARidge], training: Mapping[str, Arrays]) -> dict[str, Model]:
    """Fit the models."""
    template = PROBLEM.template(1)
    return {
        name: Model.fitted(one, Normalisation.fit(template, training[name]), [training[name]])
        for name, one in regressions.items()
    }


def trial(models: Mapping[str, Model], rule: ConformalSelection, pool: Pool) -> tuple[dict[str, np.ndarray], str]:
    """Return what a trial comes to, by the way of selecting, and the model of the split choice.

    Each of the arrays is the share of the selected that fail, and the share of what passes that is selected.
    """
    fields = pool.take(CANDIDATES + CALIBRATE + CHOOSE)
    true = quantity(fields)
    predicted = {name: quantity(model.predict(fields)) for name, model in models.items()}
    parts = np.split(np.arange(len(true)), [CANDIDATES, CANDIDATES + CALIBRATE])
    candidates, calibrate, choose = parts
    passed = rule.passes(true[candidates])

    def shares(chosen: np.ndarray) -> np.ndarray:
        right = int(np.sum(chosen & passed))
        return np.array([1 - right / max(1, chosen.sum()) if chosen.any() else 0.0, right / passed.sum()])

    chosen = {
        name: rule.select(values[candidates], values[calibrate], true[calibrate]).chosen
        for name, values in predicted.items()
    }
    best = rule.best({name: values[choose] for name, values in predicted.items()}, true[choose])
    most = max(chosen, key=lambda name: int(chosen[name].sum()))
    found = {f"fixed: {name}": shares(one) for name, one in chosen.items()}
    both = np.concatenate([calibrate, choose])
    more = [shares(rule.select(one[candidates], one[both], true[both]).chosen) for one in predicted.values()]
    found |= {MEAN: np.mean(list(found.values()), axis=0), MEAN_OF_ALL: np.mean(more, axis=0)}
    found |= {"split choice": shares(chosen[best]), "naive choice": shares(chosen[most])}
    first = next(iter(predicted.values()))
    return found | {"prediction alone": shares(rule.passes(first[candidates]))}, best


def rows(
    title: str, models: Mapping[str, Model], rule: ConformalSelection, pool: Pool, trials: int
) -> tuple[list[list[str]], list[str]]:
    """Return the lines of one set of models, and how the power of the split choice compares."""
    kept: dict[str, list[np.ndarray]] = {}
    choices: dict[str, int] = dict.fromkeys(models, 0)
    for number in range(trials):
        found, best = trial(models, rule, pool)
        choices[best] += 1
        for name, values in found.items():
            kept.setdefault(name, []).append(values)
        if number % 50 == 49:
            log.info("%s: %d trials", title, number + 1)
    lines = []
    for name, values in kept.items():
        mean, error = 100 * np.mean(values, axis=0), 100 * np.std(values, axis=0, ddof=1) / np.sqrt(trials)
        within = "yes" if mean[0] <= 100 * LEVEL + 2 * error[0] else "no"
        taken = choices.get(name.removeprefix("fixed: "))
        lines.append(
            [
                "" if lines else title,
                name,
                f"{mean[0]:.1f} ± {error[0]:.1f}",
                within,
                f"{mean[1]:.1f} ± {error[1]:.1f}",
                "" if taken is None else str(taken),
            ]
        )
    powers = {name: np.array(values)[:, 1] for name, values in kept.items()}
    fixed = {name: powers[f"fixed: {name}"] for name in models}
    best = max(fixed, key=lambda name: float(fixed[name].mean()))
    rivals = {
        MEAN: powers[MEAN],
        MEAN_OF_ALL: powers[MEAN_OF_ALL],
        f"{best}, the best in hindsight": fixed[best],
    }
    gains = {name: 100 * (powers["split choice"] - power) for name, power in rivals.items()}
    said = [
        f"{title}: power of the split choice less that of {name}: "
        f"{gain.mean():+.1f} ± {gain.std(ddof=1) / np.sqrt(trials):.1f} points"
        for name, gain in gains.items()
    ]
    return lines, said


def main() -> None:
    """Print the table."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=TRIALS)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    command = shlex.join(["python", "-m", "benchmarks.selection", *sys.argv[1:]])
    print(*provenance(command), "", *textwrap.wrap(EXPLANATION.strip(), 118), "", sep="\n", flush=True)
    pool = Pool()
    threshold = float(np.quantile(quantity(pool.take(2000)), 1 - SHARE))
    rule = ConformalSelection(threshold=threshold, level=LEVEL)
    shared = pool.take(TRAIN)
    lines: list[list[str]] = []
    said: list[str] = []
    for title, regressions, training in (
        ("alike", ALIKE, {name: pool.take(TRAIN) for name in ALIKE}),
        ("unlike", UNLIKE, dict.fromkeys(UNLIKE, shared)),
    ):
        found, compared = rows(title, fitted(regressions, training), rule, pool, arguments.trials)
        lines += found
        said += compared
    columns = ("models", "selected by", "false", f"≤ {100 * LEVEL:.0f} + 2 s.e.", "power", "taken by split choice")
    print(*align(columns, lines, left=(0, 1)), "", *said, sep="\n")


if __name__ == "__main__":
    main()
