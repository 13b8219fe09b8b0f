"""Bands over a rollout: what they hold at each of 20 stored times, and of whole windows of times.

    python -m benchmarks.bands_in_time > benchmarks/bands_in_time.txt            # about 3 minutes on one core

Trajectories of the Kuramoto–Sivashinsky and of Burgers' equation, predicted from their first state by a regression on
principal components, whose errors grow along them. A pool of trajectories that neither the model nor the shape of the
bands has seen is divided at random into those to calibrate on and those that the bands are measured on. The first
division is printed time by time; further ones show by how much the coverage of one calibration moves by chance.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.evaluation.measured import Measured
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.problems.problem import Arrays
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.cyclic import Cyclic
from ritz.compute.surrogates.fitted.pca_ridge import PCARidge
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.uncertainty.conformal.bands import Bands
from ritz.compute.uncertainty.conformal.conformal import Conformal, ConformalScoring
from ritz.compute.uncertainty.conformal.factors import conformal_quantile
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.shares import binomial, clustered, promised
from ritz.compute.uncertainty.spread.constant import Constant
from ritz.compute.uncertainty.spread.in_time import FittedInTime
from ritz.compute.uncertainty.spread.learnt import Learnt
from ritz.compute.uncertainty.spread.spread import Spread

log = logging.getLogger("benchmarks")

LEVEL, STEPS, RTOL, BLOCK = 0.9, 20, 1e-8, 250
SEED = 1
"""Of other trajectories than those by which the scales of the times were chosen, which had the seed 0."""
TRAIN, VALIDATE, CALIBRATE, TEST = 300, 100, 2500, 1500

PROBLEMS: Mapping[str, Evolution] = {
    "Kuramoto–Sivashinsky": KuramotoSivashinsky(
        points=64, length=22.0, steps=80, store_every=4, end=20.0, law=Gaussian(tau=5.0, alpha=3.0)
    ),
    "Burgers": Burgers(
        points=64, viscosity=0.02, steps=STEPS, end=1.0, amplitude=0.6, law=Gaussian(tau=5.0, alpha=2.0)
    ),
}

SPREADS: Mapping[str, Spread] = {"constant": Constant(), "learnt": Learnt(zones=False)}


@dataclass(frozen=True)
class Rollouts:
    """Trajectories with predictions: those that the shape of bands is learnt on, and the pool."""

    about: About
    validate: Predicted
    pool: Predicted

    @classmethod
    def of(cls, problem: Evolution) -> Rollouts:
        """Solve them, and fit the model to others."""
        inputs, truth = solved(problem, TRAIN + VALIDATE + CALIBRATE + TEST)
        template = problem.template(1)
        fields = {name: values[:TRAIN] for name, values in {**inputs, **truth}.items()}
        model = Model.fitted(PCARidge(degree=2, components=(16, 32)), Normalisation.fit(template, fields), [fields])
        known = About({one.name: one.transform for one in model.variables}, Dimensions.of(template))
        rest = Predicted(inputs, model.predict(inputs), truth)
        return cls(known, rest.taken(slice(TRAIN, TRAIN + VALIDATE)), rest.taken(slice(TRAIN + VALIDATE, None)))


def solved(problem: Evolution, count: int) -> tuple[Arrays, Arrays]:
    """Return the inputs and the trajectories of so many samples."""
    parts = []
    for first in range(0, count, BLOCK):
        inputs = problem.draw(SEED, np.arange(first, min(first + BLOCK, count)))
        fields, _ = simulate(problem, inputs, Cyclic(), RTOL)
        parts.append((inputs, {name: values.astype(np.float32) for name, values in fields.items()}))
    inputs, truth = ({name: np.concatenate([part[k][name] for part in parts]) for name in parts[0][k]} for k in (0, 1))
    return inputs, truth


def scoring_of(rollouts: Rollouts, spread: Spread, window: tuple[float, float] | None = None) -> ConformalScoring:
    """Return what scores trajectories for bands by time."""
    method = Conformal(levels=(LEVEL,), spread=spread, per="time", window=window)
    return method.scoring(rollouts.validate, rollouts.about)


def rows(kept: Measured, some: np.ndarray) -> Measured:
    """Return what was kept of some samples."""
    return Measured({name: values[some] for name, values in kept.rows.items()})


@dataclass(frozen=True)
class Found:
    """What bands of one spread were worth.

    Attributes
    ----------
    one, own
        Rows of a calibration document, of bands with one factor and with one for each time, in the first division.
    means
        ``(time,)`` coverage over all divisions.
    meet, all_meet
        How many intervals meet what is promised, over all divisions, and in how many divisions all do: those of the
        held-out trajectories, and those that count the calibration too.
    """

    one: dict[str, Any]
    own: dict[str, Any]
    means: np.ndarray
    meet: tuple[int, int]
    all_meet: tuple[int, int]


def meets(intervals: Sequence[Sequence[float]]) -> list[bool]:
    """Return at which times the interval meets what is promised."""
    low, high = promised(LEVEL, CALIBRATE)
    return [least <= high and most >= low for least, most in intervals]


def of_both(share: float, interval: Sequence[float]) -> tuple[float, float]:
    """Return the interval of the coverage that is expected over calibrations.

    The coverage of one calibration is off by chance as that of so many held-out trajectories is: in first order by the
    mean, over its trajectories, of the share of the points inside.
    """
    stretch = float(np.sqrt(1 + TEST / CALIBRATE))
    return share - stretch * (share - interval[0]), share + stretch * (interval[1] - share)


def divided(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return which trajectories of the pool to calibrate on, and the others."""
    some = rng.permutation(CALIBRATE + TEST)
    return some[:CALIBRATE], some[CALIBRATE:]


def by_time(rollouts: Rollouts, spread: Spread, divisions: int) -> Found:
    """Measure bands with a factor for each time beside those with one for all."""
    dimensions, pool, rng = rollouts.about.dimensions, rollouts.pool, np.random.default_rng(0)
    scoring = scoring_of(rollouts, spread)
    usual = Conformal(levels=(LEVEL,), spread=spread).scoring(rollouts.validate, rollouts.about)
    [output] = pool.truth
    kept, scores = scoring.scores(pool), scoring.spread.shape(pool.inputs, pool.prediction).scores(pool.truth, output)
    documents, shares, met = [], [], []
    for number in range(divisions):
        calibrate, test = divided(rng)
        bands = scoring.calibrated(rows(kept, calibrate))
        if not number:
            fresh = pool.taken(test)
            for one in (usual.calibrated(usual.scores(pool.taken(calibrate))), bands):
                [coverage] = one.measure(fresh, dimensions)
                documents.append(coverage.document())
        assert isinstance(bands, Bands)
        factors = np.array(bands.outputs[output].points[0])
        inside = (scores[test] <= factors[:, None]).mean(axis=2)
        shares.append(inside.mean(axis=0))
        intervals = [clustered(step, together=STEPS) for step in inside.T]
        both = [of_both(*one) for one in zip(shares[-1].tolist(), intervals, strict=True)]
        met.append((meets(intervals), meets(both)))
    first, own = documents
    every = np.array(met)
    (alone, too), (all_alone, all_too) = every.sum(axis=(0, 2)).tolist(), every.all(axis=2).sum(axis=0).tolist()
    return Found(first, own, np.mean(shares, axis=0), (alone, too), (all_alone, all_too))


def together(rollouts: Rollouts, spread: Spread, window: tuple[float, float] | None, divisions: int) -> list[str]:
    """Measure bands that hold a window of times together, beside others that do."""
    pool, rng = rollouts.pool, np.random.default_rng(0)
    scoring = scoring_of(rollouts, spread, window)
    [output] = pool.truth
    shape = scoring.spread.shape(pool.inputs, pool.prediction)
    held = scoring.spread.held(output, shape.width[output].shape[1:])
    times = np.arange(STEPS) if held is None else np.flatnonzero(held.any(axis=1))
    scores, widths = shape.scores(pool.truth, output)[:, times], shape.width[output][:, times].mean(axis=(0, 2))
    assert isinstance(scoring.spread, FittedInTime)
    scale, largest = np.array(scoring.spread.scales[output])[times], scores.max(axis=2)
    validate = rollouts.validate
    its = scoring.spread.shape(validate.inputs, validate.prediction).scores(validate.truth, output)
    means = its[:, times].max(axis=2).mean(axis=0)
    kept, shares, ratios = scoring.scores(pool), [], []
    for number in range(divisions):
        calibrate, test = divided(rng)
        bands = scoring.calibrated(rows(kept, calibrate))
        assert isinstance(bands, Bands)
        assert bands.fields is not None
        inside = largest[test].max(axis=1) <= bands.fields[0]
        shares.append(inside.mean())
        # Factors by time: of one scale for all times, of scales by mean scores, and of a level for each time that the
        # union of all of them keeps.
        others = [
            conformal_quantile((largest[calibrate] / of_time).max(axis=1), LEVEL) * of_time
            for of_time in (1 / scale, means)
        ]
        others.append(np.array([conformal_quantile(one, 1 - (1 - LEVEL) / len(times)) for one in largest[calibrate].T]))
        ratios.append([np.mean(one * widths) / (bands.fields[0] * widths.mean()) for one in others])
        if not number:
            low, high = binomial(int(inside.sum()), len(test))
            first = f"{100 * inside.mean():.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    lowest, mean = f"{100 * min(shares):.1f}", f"{100 * np.mean(shares):.2f}"
    return [str(len(times)), first, mean, lowest, *(f"{ratio:.2f}" for ratio in np.mean(ratios, axis=0))]


def table_by_time(rollouts: Rollouts, found: Found) -> str:
    """Return a table with a line per time."""
    [output] = rollouts.pool.truth
    error, field = rollouts.pool.error(output), rollouts.pool.truth[output]
    relative = np.sqrt(np.mean(error**2, axis=(0, 2)) / np.mean(field.astype(float) ** 2, axis=(0, 2)))
    intervals, lines = found.own["by_step_together"], []
    both = [of_both(one[0], interval) for one, interval in zip(found.own["by_step"], intervals, strict=True)]
    met, also = meets(intervals), meets(both)
    for k, at in enumerate(times_of(rollouts)):
        share, (low, high) = found.own["by_step"][k][0], intervals[k]
        lines.append(
            [f"{at:g}", f"{relative[k]:.3f}", f"{100 * found.one['by_step'][k][0]:.1f}",
             f"{100 * share:.1f} [{100 * low:.1f}, {100 * high:.1f}]", "yes" if met[k] else "NO",
             "yes" if also[k] else "NO", f"{100 * found.means[k]:.2f}"]
        )  # fmt: skip
    return "\n".join(align(("t", "error", "one factor", "own factors", "meets", "of both", "mean"), lines))


def times_of(rollouts: Rollouts) -> tuple[float, ...]:
    """Return the stored times."""
    assert rollouts.about.dimensions is not None
    return rollouts.about.dimensions.times


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--divisions", type=int, default=20, help="of each pool (20)")
    divisions = parser.parse_args().divisions
    one_thread()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    print("\n".join(provenance(shlex.join(["python", "-m", "benchmarks.bands_in_time", *sys.argv[1:]]))))
    low, high = promised(LEVEL, CALIBRATE)
    said = (
        f"Bands of {LEVEL:.0%} over {STEPS} stored times, 64 points each; {VALIDATE} trajectories give the shape, "
        f"{CALIBRATE} calibrate, {TEST} are held out; {divisions} divisions of the pool. error: root mean square of "
        "the error over that of the field. one factor: coverage in % with one factor for all times. own factors: with "
        "one for each time (per: time), with its clustered interval, Bonferroni over the times: all hold together "
        f"with 95 %. meets: whether that interval meets [{100 * low:g}, {100 * high:.2f}], between what the coverage "
        "is expected over calibrations; that interval counts the held-out trajectories alone, and one calibration is "
        "off by chance itself: of both: whether the interval meets it that counts the calibration too. All of that in "
        "the first division; mean: coverage over all divisions."
    )
    print("\n" + "\n".join(textwrap.wrap(said, 118)))
    whole, counts = [], []
    for name, problem in PROBLEMS.items():
        rollouts = Rollouts.of(problem)
        log.info("%s: solved", name)
        times = times_of(rollouts)
        for spread, one in SPREADS.items():
            row = by_time(rollouts, one, divisions)
            print(f"\n{name}, {spread} width\n\n{table_by_time(rollouts, row)}", flush=True)
            of_all = f"of {divisions * STEPS}"
            counts.append(
                [name, spread, *(f"{count} {of_all}" for count in row.meet),
                 *(f"{count} of {divisions}" for count in row.all_meet), f"{row.own['width'] / row.one['width']:.3f}"]
            )  # fmt: skip
            for window in (None, (times[STEPS // 2], times[-1])):
                whole.append([name, spread, *together(rollouts, one, window, divisions)])
            log.info("%s, %s: measured", name, spread)
    said = (
        "meet: how many intervals meet what is expected, over all divisions; at all times: in how many divisions all "
        "do. of both: as above. width: mean width over that with one factor, in the first division."
    )
    print("\n" + "\n".join(textwrap.wrap(said, 118)) + "\n")
    print(
        "\n".join(
            align(("problem", "spread", "meet", "of both", "at all times", "of both", "width"), counts, left=(0, 1))
        )
    )
    said = (
        "Bands around whole fields that hold a window of times together. inside: of how many % of the held-out "
        "trajectories all points at all times of the window are, in the first division, with its exact interval of "
        "95 %; mean and lowest: over the divisions. Width of other bands that hold it, over that of these: without a "
        "scale for each time (one scale), in scales that are mean scores (mean scale), and by a union bound over the "
        "times (union)."
    )
    print("\n" + "\n".join(textwrap.wrap(said, 118)) + "\n")
    head = ("problem", "spread", "times", "inside", "mean", "lowest", "one scale", "mean scale", "union")
    print("\n".join(align(head, whole, left=(0, 1))))


if __name__ == "__main__":
    main()
