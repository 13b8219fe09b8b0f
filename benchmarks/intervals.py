"""Whether the interval that is printed beside a coverage holds it: over divisions of a pool, on fresh samples.

    python -m benchmarks.intervals > benchmarks/intervals.txt                    # about 3 minutes on one core

Pools of solved samples are divided at random into those to calibrate on and a test split. The bands of each division
have a coverage of their own, known from 2000 fresh samples; the interval is the one that the test split gives. The
divisions of one pool are alike, so there are several pools.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
from collections.abc import Mapping

import numpy as np

from benchmarks.drift import law, solved, trained
from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.evaluation.measured import Measured
from ritz.compute.problems.darcy import Darcy
from ritz.compute.surrogates.model import Model
from ritz.compute.uncertainty.conformal.conformal import Conformal, ConformalScoring
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.shares import binomial, clustered
from ritz.compute.uncertainty.spread.constant import Constant
from ritz.compute.uncertainty.spread.defect import Defect
from ritz.compute.uncertainty.spread.learnt import Learnt
from ritz.compute.uncertainty.spread.spread import Spread

log = logging.getLogger("benchmarks")

SHAPE, LEVEL, POOLS, POOL, FRESH = (32, 32), 0.9, 20, 306, 2000

SPREADS: Mapping[str, Spread] = {"learnt": Learnt(), "constant": Constant(), "equations (defect)": Defect()}


def drawn(model: Model, seed: int, count: int) -> Predicted:
    """Return fresh samples of the law with predictions."""
    inputs, truth = solved(Darcy(shape=SHAPE, law=law(0)), seed, np.arange(count))
    return Predicted(inputs, model.predict(inputs), truth)


def row(
    name: str, spread: Spread, validate: Predicted, pools: list[Predicted], fresh: Predicted, about: About, n: int
) -> list[str]:
    """Return the line of one spread, over ``n`` divisions of every pool."""
    scoring, output = Conformal(levels=(LEVEL,), spread=spread).scoring(validate, about), next(iter(fresh.truth))
    known = _scores(scoring, fresh, output)
    zones = scoring.spread.zones(output, known.shape[1:])
    rng = np.random.default_rng(0)
    held = {"samples": 0, "points": 0, "fields": 0}
    widths, coverages = [], []
    for pool in pools:
        kept, scores = scoring.scores(pool), _scores(scoring, pool, output)
        for _ in range(n):
            calibrate, test = np.array_split(rng.permutation(POOL), 2)
            bands = scoring.calibrated(Measured({key: values[calibrate] for key, values in kept.rows.items()}))
            factors = np.array(bands.outputs[output].points[0])
            limit = factors[0] if zones is None else factors[zones]
            inside, truly = ((one <= limit).reshape(len(one), -1) for one in (scores[test], known))
            assert bands.fields is not None
            whole, wholly = (one.reshape(len(one), -1).max(axis=1) <= bands.fields[0] for one in (scores[test], known))
            ends = {
                "samples": (clustered(inside.mean(axis=1)), truly.mean()),
                "points": (binomial(int(inside.sum()), inside.size), truly.mean()),
                "fields": (binomial(int(whole.sum()), len(test)), wholly.mean()),
            }
            for kind, (interval, true) in ends.items():
                held[kind] += interval.low <= true <= interval.high
            widths.append(100 * (ends["samples"][0].high - ends["samples"][0].low))
            coverages.append(100 * truly.mean())
    percent = {kind: f"{100 * count / (n * len(pools)):.1f}" for kind, count in held.items()}
    mean = f"{np.mean(coverages):.1f} ± {np.std(coverages):.1f}"
    return [name, mean, f"{np.mean(widths):.1f}", percent["samples"], percent["points"], percent["fields"]]


def _scores(scoring: ConformalScoring, part: Predicted, output: str) -> np.ndarray:
    return scoring.spread.shape(part.inputs, part.prediction).scores(part.truth, output)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--divisions", type=int, default=10, help="of each pool (10)")
    arguments = parser.parse_args()
    one_thread()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    model, validate, about = trained()
    known = About(about.transforms, about.dimensions, Darcy(shape=SHAPE, law=law(0)))
    pools, fresh = [drawn(model, seed, POOL) for seed in range(100, 100 + POOLS)], drawn(model, 3, FRESH)
    lines = [row(name, spread, validate, pools, fresh, known, arguments.divisions) for name, spread in SPREADS.items()]
    print("\n".join(provenance(shlex.join(["python", "-m", "benchmarks.intervals", *sys.argv[1:]]))))
    said = (
        f"Darcy {SHAPE[0]}², level {LEVEL:g}, a quadratic regression; {arguments.divisions} divisions of each of "
        f"{POOLS} pools of {POOL} samples into halves. coverage: of the points of {FRESH} fresh samples, mean over "
        "divisions and its deviation, in %. interval: mean width of the printed interval of 95 %, in points. held: in "
        "how many % of the divisions it holds the coverage on the fresh samples: the printed one, which counts "
        "samples; that of Clopper and Pearson over points; and the printed one of whole fields."
    )
    print("\n" + "\n".join(textwrap.wrap(said, 118)) + "\n")
    columns = ("bands", "coverage", "interval", "held", "over points", "whole fields")
    print("\n".join(align(columns, lines, left=(0,))))


if __name__ == "__main__":
    main()
