"""Error bars by the members of an ensemble, beside learnt widths, the last layer of a network and the equations.

pip install scoringrules
python -m benchmarks.ensembles > benchmarks/ensembles.txt                      # about 15 minutes on one core
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.fields.errors import relative_l2
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.problem import Arrays
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.training.offline import Offline
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.epochs import InMemory
from ritz.compute.training.samples.supply import Given
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.ranking import ranking
from ritz.compute.uncertainty.spread.constant import Constant
from ritz.compute.uncertainty.spread.defect import Defect
from ritz.compute.uncertainty.spread.laplace import Laplace
from ritz.compute.uncertainty.spread.learnt import Learnt
from ritz.compute.uncertainty.spread.members import Members
from ritz.compute.uncertainty.spread.spread import Spread

log = logging.getLogger("benchmarks")

PROBLEM = Heat(shape=(32, 32), steps=8)
NETWORK = FNO(modes=12, width=16, layers=3)
TRAIN, VALIDATE, CALIBRATE, TEST = 400, 50, 100, 150
SEEDS, SIZE, EPOCHS = (0, 1, 2), 4, 30
LEVEL = 0.9
NORMAL = 1.6448536269514722
"""Half width of the interval of 90 % of a normal variable, in its deviations."""

EXPLANATION = f"""
The heat equation on 32² cells, 9 times; {TRAIN} samples to train on, {VALIDATE} for the shape of the bands,
{CALIBRATE} to calibrate, {TEST} to test. An FNO (modes {NETWORK.modes}, width {NETWORK.width}, {NETWORK.layers} layers)
alone, and ensembles of {SIZE}, {EPOCHS} epochs each; mean over {len(SEEDS)} sets of seeds, least and most in brackets.
error: relative L2 of what is predicted, or corrected. CRPS: mean over the points, over the mean absolute error of the
network alone, which is its CRPS without a spread; "as it is" of the {SIZE} members as a distribution, else of a normal
one whose deviation is the half width of the calibrated 90 % band over {NORMAL:.4f}. points, point and sample: percent
inside the band, rank correlations of estimated and true errors. AUSE: area between the sparsification curves, 0 is
best. width: mean width of the bands over the standard deviation of the truth, all scaled to hold 90 % of the points of
the test.
"""


def solved(count: int, first: int = 0) -> Arrays:
    """Return inputs and outputs of some samples, as they are stored."""
    inputs = PROBLEM.draw(0, np.arange(first, first + count))
    outputs, ledger = simulate(PROBLEM, inputs, Multigrid(), rtol=1e-8)
    assert set(ledger["status"]) == {"ok"}
    return {name: values.astype(np.float32) for name, values in (inputs | outputs).items()}


def cut(fields: Arrays, first: int, count: int) -> Arrays:
    return {name: values[first : first + count] for name, values in fields.items()}


def trained(fields: Arrays, seed: int) -> Model:
    """Return a network that was trained on samples."""
    nothing = Block(0, np.empty(0, np.int64), np.empty(0, str), cut(fields, 0, 0))
    ids = np.arange(TRAIN)
    supply = Given(PROBLEM.template(1), lambda _: nothing, fixed=InMemory(ids, fields, (ids[:0], nothing.fields), seed))
    return Offline(epochs=EPOCHS, seed=seed).fit(NETWORK, supply, Surroundings()).model


def predicted(model: Model, fields: Arrays) -> Predicted:
    prediction = model.predict(fields)
    inputs = {one.name: fields[one.name] for one in model.normalisation.inputs}
    return Predicted(inputs, prediction, {name: fields[name] for name in prediction})


def crps_of(members: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean CRPS of members ``(member, n, *dims)`` as an empirical distribution."""
    import scoringrules

    found = scoringrules.crps_ensemble(truth.ravel(), members.reshape(len(members), -1).T.astype(np.float64))
    return float(np.mean(found))


def crps_normal(truth: np.ndarray, centre: np.ndarray, deviation: np.ndarray) -> float:
    import scoringrules

    return float(np.mean(scoringrules.crps_normal(truth.ravel(), centre.ravel(), deviation.ravel())))


Row = dict[str, float]


def of_spread(spread: Spread, model: Model, fields: Arrays, alone: float) -> Row:
    """Calibrate bands of one spread around what a model predicts, and measure them."""
    train, rest = cut(fields, 0, TRAIN), cut(fields, TRAIN, len(fields["u"]))
    validate, calibrate, test = (
        predicted(model, cut(rest, first, count))
        for first, count in ((0, VALIDATE), (VALIDATE, CALIBRATE), (VALIDATE + CALIBRATE, TEST))
    )
    dimensions = Dimensions.of(PROBLEM.template(1))
    about = About({"a": "log"}, dimensions, PROBLEM, model, [cut(train, at, 50) for at in range(0, TRAIN, 50)])
    bands = Conformal(levels=(LEVEL,), spread=spread).calibrate(validate, calibrate, about)
    [measured] = bands.measure(test)
    lower, upper = (ends["u"].astype(np.float64) for ends in bands.interval(test.inputs, test.prediction, LEVEL))
    centre, half, truth = (lower + upper) / 2, (upper - lower) / 2, test.truth["u"].astype(np.float64)
    scale = float(np.quantile(np.abs(truth - centre) / half, LEVEL))
    ranks = bands.ranking(test)
    return {
        "error": float(relative_l2(centre, truth).mean()),
        "crps": crps_normal(truth, centre, half / NORMAL) / alone,
        "points": 100 * measured.measured,
        "point": ranks["spearman_point"],
        "sample": ranks["spearman_sample"],
        "ause": ranks["ause"],
        "width": float(2 * scale * half.mean() / truth.std()),
    }


def as_it_is(model: Model, fields: Arrays, alone: float) -> Row:
    """Measure the members of an ensemble as a distribution of their own."""
    test = predicted(model, cut(fields, TRAIN + VALIDATE + CALIBRATE, TEST))
    truth, members = test.truth["u"], model.members(test.inputs)["u"]
    deviation = members.std(axis=0, ddof=1, dtype=np.float64)
    error = test.error("u")
    ranks = ranking({"u": deviation}, {"u": error})
    return {
        "error": float(relative_l2(test.prediction["u"], truth).mean()),
        "crps": crps_of(members, truth) / alone,
        "points": 100 * float(np.mean(error <= NORMAL * deviation)),
        "point": ranks["spearman_point"],
        "sample": ranks["spearman_sample"],
        "ause": ranks["ause"],
        "width": float(2 * np.quantile(error / deviation, LEVEL) * deviation.mean() / truth.std()),
    }


ALONE: dict[str, Spread] = {
    "constant": Constant(),
    "learnt": Learnt(),
    "last layer (Laplace)": Laplace(),
    "equations (defect)": Defect(),
}
TOGETHER: dict[str, Spread] = {"constant": Constant(), "learnt": Learnt(), "members": Members()}


def bars() -> list[str]:
    """Train, calibrate and measure; return the table."""
    log.info("solving %d samples", TRAIN + VALIDATE + CALIBRATE + TEST)
    fields = solved(TRAIN + VALIDATE + CALIBRATE + TEST)
    found: dict[tuple[str, str], list[Row]] = {}
    for seed in SEEDS:
        members = []
        for number in range(SIZE):
            log.info("set %d of %d: training member %d", seed + 1, len(SEEDS), number)
            members.append(trained(cut(fields, 0, TRAIN), SIZE * seed + number))
        first, ensemble = members[0], Ensemble(member=NETWORK, size=SIZE).joined(members)
        test = predicted(first, cut(fields, TRAIN + VALIDATE + CALIBRATE, TEST))
        alone = float(test.error("u").mean())
        mean = float(predicted(ensemble, cut(fields, TRAIN + VALIDATE + CALIBRATE, TEST)).error("u").mean())
        nothing = {"error": float(relative_l2(test.prediction["u"], test.truth["u"]).mean()), "crps": 1.0}
        found.setdefault(("alone", "none"), []).append(nothing)
        for name, spread in ALONE.items():
            found.setdefault(("alone", name), []).append(of_spread(spread, first, fields, alone))
        averaged = {"error": float(relative_l2(ensemble.predict(test.inputs)["u"], test.truth["u"]).mean())}
        found.setdefault((f"mean of {SIZE}", "none"), []).append(averaged | {"crps": mean / alone})
        found.setdefault((f"mean of {SIZE}", "members as they are"), []).append(as_it_is(ensemble, fields, alone))
        for name, spread in TOGETHER.items():
            found.setdefault((f"mean of {SIZE}", name), []).append(of_spread(spread, ensemble, fields, alone))
        log.info("%s", {key: rows[-1] for key, rows in found.items()})
    columns = ("error", "crps", "points", "point", "sample", "ause", "width")
    lines = [
        [who, what, *(_spread([row.get(key) for row in rows]) for key in columns)]
        for (who, what), rows in found.items()
    ]
    heads = ("network", "bars", "error", "CRPS", "points", "ρ point", "ρ sample", "AUSE", "width")
    return ["", *textwrap.wrap(EXPLANATION.strip(), 118), "", *align(heads, lines, left=(0, 1))]


def _spread(values: Sequence[float | None]) -> str:
    known = [one for one in values if one is not None]
    if not known:
        return "–"
    return f"{np.mean(known):.3g} [{min(known):.3g}, {max(known):.3g}]"


def main() -> None:
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    table = bars()
    print(*provenance(shlex.join(["python", "-m", "benchmarks.ensembles", *sys.argv[1:]])), sep="\n")
    print("; ".join(f"{name} {version(name)}" for name in ("torch", "neuraloperator", "scoringrules")) + ".")
    print(*table, sep="\n")


if __name__ == "__main__":
    main()
