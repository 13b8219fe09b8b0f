"""Coverage of the error bars of one model over many splits of its held-out samples: points, fields, rings of cells.

    ritz run darcy --store ritz-store
    python -m benchmarks.coverage ritz-store darcy > benchmarks/coverage.txt    # about 5 minutes on one core

The samples that the model was neither trained nor validated on are divided anew into calibration and test halves.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
import time
from collections.abc import Mapping

import numpy as np

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.model import Model
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.spread.constant import Constant
from ritz.compute.uncertainty.spread.defect import Defect
from ritz.compute.uncertainty.spread.learnt import Learnt
from ritz.compute.uncertainty.spread.spread import Spread
from ritz.compute.uncertainty.zones import zones
from ritz.storage.datasets import Dataset
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.measuring.shifts import solved
from ritz.tasks.measuring.split_fields import load
from ritz.tasks.measuring.worker import load_model
from ritz.tasks.parsing.other_law import shifted
from ritz.tasks.parsing.recorded_problem import problem_of

LEVEL, SPLITS = 0.9, 20

SPREADS: dict[str, Spread] = {
    "constant": Constant(),
    "learnt, one zone": Learnt(zones=False),
    "learnt": Learnt(),
    "defect": Defect(),
}

EXPLANATION = f"""
{SPLITS} random divisions of the samples of the splits calibrate and test into halves; the shape of the bands is found
on the split validate. points: percent of the test points inside the {LEVEL:.0%} bands, mean over the divisions, its
standard deviation, and the least and the most. held: in how many of them the printed interval of 95 % holds the mean
over all divisions. fields: percent of the test fields that are wholly inside the bands around whole fields, pooled over
the divisions, and the least and the most. wall, second: percent of the points inside in the cells at the walls and in
those behind them. width: mean width of the bands for points over the standard deviation of the truth.
"""


def row(name: str, spread: Spread, validate: Predicted, held_out: Predicted, about: About) -> list[str]:
    """Measure one spread over all divisions."""
    shares, ends, inside, of, near, widths = [], [], [], 0, [], []
    output = next(iter(held_out.truth))
    ring = zones(output, held_out.truth[output].shape[1:], about.dimensions)
    assert ring is not None
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(len(held_out))
        calibrate, test = (held_out.taken(rows) for rows in np.array_split(order, 2))
        bands = Conformal(levels=(LEVEL,), spread=spread).calibrate(validate, calibrate, about)
        [found] = bands.measure(test)
        document = found.document()
        assert found.fields is not None
        shares.append(found.measured)
        ends.append((document["low"], document["high"]))
        inside.append(found.fields.inside)
        of = found.fields.of
        widths.append(found.width)
        lower, upper = bands.interval(test.inputs, test.prediction, LEVEL)
        within = (lower[output] <= test.truth[output]) & (test.truth[output] <= upper[output])
        near.append([within[:, ring == zone].mean() for zone in (0, 1)])
    measured, fields = 100 * np.array(shares), 100 * np.array(inside) / of
    held = sum(low <= np.mean(shares) <= high for low, high in ends)
    wall, second = 100 * np.mean(near, axis=0)
    return [
        name,
        f"{measured.mean():.1f} ± {measured.std():.1f} ({measured.min():.1f} to {measured.max():.1f})",
        f"{held}/{SPLITS}",
        f"{fields.mean():.1f} ({fields.min():.0f} to {fields.max():.0f})",
        f"{wall:.1f}",
        f"{second:.1f}",
        f"{np.mean(widths) / held_out.truth[output].std():.2g}",
    ]


LAWS: dict[str, dict[str, object]] = {
    "σ 1.5": {"law": {"sigma": 1.5}},
    "α 1.5": {"law": {"alpha": 1.5}},
    "τ 6": {"law": {"tau": 6.0}},
}
"""Shifts of the law of Darcy."""

FRESH, POOL, DRAWS = 50, 400, 100

AFRESH = f"""
Learnt bands on other laws: calibrated on the split calibrate, and anew on {FRESH} samples that are solved for the law,
their shape still that of the split validate; percent of the points of the other {POOL - FRESH} of {POOL} solved samples
inside, mean and standard deviation over {DRAWS} draws of the {FRESH}. seconds: of solving, predicting and calibrating
{FRESH}, by the clock on the wall, with the choice of the solver.
"""


def afresh(name: str, problem: Problem, trained: Model, parts: Mapping[str, Predicted], about: About) -> list[str]:
    """Measure bands on another law before and after they are calibrated on fresh solves of it."""

    def solved_and_predicted(count: int) -> Predicted:
        inputs, truth = solved(problem, 1, 1e-8, count)
        return Predicted(inputs, trained.predict(inputs), truth)

    method = Conformal(levels=(LEVEL,), spread=Learnt())
    pool = solved_and_predicted(POOL)
    begun = time.perf_counter()
    method.calibrate(parts["validate"], solved_and_predicted(FRESH), about)
    seconds = time.perf_counter() - begun
    before = method.calibrate(parts["validate"], parts["calibrate"], about).measure(pool)[0]
    after = []
    for seed in range(DRAWS):
        order = np.random.default_rng(seed).permutation(POOL)
        bands = method.calibrate(parts["validate"], pool.taken(order[:FRESH]), about)
        after.append(100 * bands.measure(pool.taken(order[FRESH:]))[0].measured)
    found = f"{np.mean(after):.1f} ± {np.std(after):.1f}"
    return [name, f"{100 * before.measured:.1f}", found, f"{seconds:.2f}"]


COLUMNS = ("spread", "points", "held", "fields", "wall", "second", "width")


def main() -> None:
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store")
    parser.add_argument("model", help="NAME or NAME@VERSION")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    store = Store(arguments.store)
    trained, _ = load_model(store, arguments.model)
    card = of_model.card(store, arguments.model)
    data = read(store, card.dataset.spec)
    parts = {}
    for split in ("validate", "calibrate", "test"):
        inputs, truth = load(data, split)
        parts[split] = Predicted(inputs, trained.predict(inputs), truth)
    problem = problem_of(Dataset.open(store, card.dataset.name).at(card.dataset.version).recipe)
    about = About({one.name: one.transform for one in trained.variables}, Dimensions.of(data), problem)
    held_out = Predicted.joined([parts["calibrate"], parts["test"]])
    lines = [row(name, spread, parts["validate"], held_out, about) for name, spread in SPREADS.items()]
    print("\n".join(provenance(shlex.join(["python", "-m", "benchmarks.coverage", *sys.argv[1:]]))))
    print(f"Model {arguments.model}, {len(held_out)} held-out samples.")
    print("\n" + "\n".join(textwrap.wrap(EXPLANATION.strip(), 118)) + "\n")
    print("\n".join(align(COLUMNS, lines, left=(0,))))
    if problem is None or problem.kind != "darcy":
        return
    lines = [afresh(law, shifted(problem, changes), trained, parts, about) for law, changes in LAWS.items()]
    print("\n" + "\n".join(textwrap.wrap(AFRESH.strip(), 118)) + "\n")
    print("\n".join(align(("law", "before", "after", "seconds"), lines, left=(0,))))


if __name__ == "__main__":
    main()
