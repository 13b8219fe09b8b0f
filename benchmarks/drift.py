"""Error bars on a stream whose law drifts: what weights of the calibration samples hold, and what they cost.

    python -m benchmarks.drift > benchmarks/drift.txt                            # about 6 minutes on one core

Samples of Darcy's problem arrive one by one. Each is predicted before its solution is known, and joins the samples on
which the bands of the next ones are calibrated: no band has seen the sample that it is measured on. The model, a
quadratic regression on principal components, learnt the law that the stream begins with. It is asked about the last
third of the stream, when its law has moved.
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
from ritz.compute.evaluation.measured import Measured
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.laws import Lognormal
from ritz.compute.problems.problem import Arrays
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.surrogates.fitted.baselines import BASELINES
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.uncertainty.conformal.conformal import Conformal, ConformalScoring
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.spread.learnt import Learnt
from ritz.compute.uncertainty.weights.age import Age, FittedAge
from ritz.compute.uncertainty.weights.density_ratio import DensityRatio
from ritz.compute.uncertainty.weights.distance import Distance
from ritz.compute.uncertainty.weights.equal import Equal
from ritz.compute.uncertainty.weights.weights import Weights

log = logging.getLogger("benchmarks")

SHAPE, RTOL, LEVEL = (32, 32), 1e-8, 0.9
TRAIN, VALIDATE, ARRIVALS, FIRST = 600, 80, 500, 150
STEPS, EVERY, MEASURED = 25, 5, (280, 400)
"""The law moves after so many arrivals each time; bands are made anew after so many; coverage is measured between."""

SOLVER = Multigrid()

WEIGHTS: Mapping[str, Weights] = {
    "all past, equal": Equal(),
    "age, back-tested": Age(),
    "age, e-folding 100": Age(folding=100),
    "age, e-folding 50": Age(folding=50),
    "age, e-folding 25": Age(folding=25),
    "distance, h = 0.5": Distance(bandwidth=0.5),
    "distance, h = 1": Distance(),
    "density ratio": DensityRatio(),
}


def law(share: float) -> Lognormal:
    """Return the law of the stream after a share of the drift: rougher and of higher contrast."""
    return Lognormal(alpha=2.0 - 0.5 * share, sigma=1.0 + 0.5 * share)


def solved(problem: Darcy, seed: int, ids: np.ndarray) -> tuple[Arrays, Arrays]:
    """Return inputs and solutions."""
    inputs = problem.draw(seed, ids)
    fields, _ = simulate(problem, inputs, SOLVER, RTOL)
    return inputs, {name: values.astype(np.float32) for name, values in fields.items()}


def stream(model: Model, seed: int) -> Predicted:
    """Return the arrivals, in their order, with predictions."""
    parts = []
    for first in range(0, ARRIVALS, STEPS):
        problem = Darcy(shape=SHAPE, law=law(first / (ARRIVALS - STEPS)))
        parts.append(solved(problem, seed, np.arange(first, first + STEPS)))
    inputs, truth = ({name: np.concatenate([part[k][name] for part in parts]) for name in parts[0][k]} for k in (0, 1))
    return Predicted(inputs, model.predict(inputs), truth, places=np.arange(ARRIVALS))


def rows(predicted: Predicted, first: int, last: int) -> Predicted:
    """Return some arrivals."""
    inputs, prediction, truth = (
        {name: values[first:last] for name, values in part.items()}
        for part in (predicted.inputs, predicted.prediction, predicted.truth)
    )
    return Predicted(inputs, prediction, truth, places=np.arange(first, last))


def trained() -> tuple[Model, Predicted, About]:
    """Return the model, samples to learn the width of bands on, and what is known of them."""
    problem = Darcy(shape=SHAPE, law=law(0))
    template = problem.template(1)
    inputs, truth = solved(problem, 1, np.arange(TRAIN + VALIDATE))
    fields = {name: values[:TRAIN] for name, values in {**inputs, **truth}.items()}
    normalisation = Normalisation.fit(template, fields)
    model = Model.fitted(BASELINES["quadratic"], normalisation, [fields])
    validate, of = ({name: values[TRAIN:] for name, values in part.items()} for part in (inputs, truth))
    about = About({one.name: one.transform for one in model.variables}, Dimensions.of(template))
    return model, Predicted(validate, model.predict(validate), of), about


def covered(scoring: ConformalScoring, arrivals: Predicted, since: int | None) -> tuple[np.ndarray, float, list[float]]:
    """Return the shares of points inside of the measured arrivals, the mean width, and the foldings that were taken.

    Parameters
    ----------
    since
        Calibrated once on so many arrivals; None: on all that came before.
    """
    shares, widths, foldings = [], [], []
    scores = scoring.scores(arrivals)
    for now in range(MEASURED[0], MEASURED[1], EVERY):
        known = Measured({name: values[: since or now] for name, values in scores.rows.items()})
        bands = scoring.calibrated(known)
        # The ratio of densities needs to know the inputs of the new law: those of the last arrivals, unsolved.
        asked = rows(arrivals, now + EVERY - 40 if scoring.features is not None else now, now + EVERY)
        [found] = bands.measure(asked)
        shares += found.shares[-EVERY:].tolist()
        widths.append(found.width)
        if isinstance(bands.weights, FittedAge):
            foldings.append(bands.weights.folding or np.inf)
    return np.array(shares), float(np.mean(widths)), foldings


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=5, help="streams, of other seeds (5)")
    arguments = parser.parse_args()
    one_thread()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("ritz").setLevel(logging.WARNING)
    model, validate, about = trained()
    streams = [stream(model, seed) for seed in range(10, 10 + arguments.streams)]
    table = [("weights", "coverage", "of streams", "width", "e-folding")]
    asked: dict[str, tuple[Weights, int | None]] = {f"once, on the first {FIRST}": (Equal(), FIRST)}
    for name, (weights, since) in (asked | {name: (one, None) for name, one in WEIGHTS.items()}).items():
        method = Conformal(levels=(LEVEL,), spread=Learnt(), weights=weights)
        scoring = method.scoring(validate, about)
        found = [covered(scoring, arrivals, since) for arrivals in streams]
        each = 100 * np.array([shares.mean() for shares, _, _ in found])
        error = each.std(ddof=1) / np.sqrt(len(each)) if len(each) > 1 else float("nan")
        folding = [one for _, _, foldings in found for one in foldings]
        table.append(
            (
                name,
                f"{each.mean():.1f} ± {error:.1f}",
                f"{each.min():.1f} to {each.max():.1f}",
                f"{np.mean([width for _, width, _ in found]):.4f}",
                f"{np.median(folding):g}" if folding else "",
            )
        )
        log.info("%s", "  ".join(table[-1]))
    print("\n".join(provenance(shlex.join(["python", "-m", "benchmarks.drift", *sys.argv[1:]]))))
    said = (
        f"Darcy {SHAPE[0]}², level {LEVEL:g}; alpha 2 to 1.5 and sigma 1 to 1.5 over {ARRIVALS} arrivals. coverage: % "
        f"of the points of arrivals {MEASURED[0]} to {MEASURED[1]}, mean over {len(streams)} streams and its standard "
        "error. "
        f"Bands are calibrated anew after every {EVERY} arrivals. e-folding: the median that was taken."
    )
    print("\n" + "\n".join(textwrap.wrap(said, 118)) + "\n")
    print("\n".join(align(table[0], table[1:], left=(0,))))


if __name__ == "__main__":
    main()
