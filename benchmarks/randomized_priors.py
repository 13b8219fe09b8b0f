"""Ensembles with random fixed priors on cheap and on dear solves: errors, spread and coverage, in range and out of it.

python -m benchmarks.randomized_priors > benchmarks/randomized_priors.txt      # about 5 minutes on one core
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.laws import Lognormal
from ritz.compute.problems.problem import Arrays
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.compute.surrogates.ensemble.randomized_prior import RandomizedPrior
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import Network
from ritz.compute.training.losses.loss import Batch, Loss, Penalty
from ritz.compute.training.offline import Offline
from ritz.compute.training.parts.optimiser import AdamW
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.epochs import InMemory
from ritz.compute.training.samples.supply import Given
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.spread.members import Members

if TYPE_CHECKING:
    import torch

log = logging.getLogger("benchmarks")

CHEAP, DEAR = 8, 64
"""Cells along an axis."""
COARSE, FINE, VALIDATE, CALIBRATE, TEST = 2000, 30, 50, 150, 400
WIDE = 1.8
"""Deviation of the logarithm of the permeability out of range; in range it is 1."""
SEEDS, SIZE, SPLITS = (0, 1, 2, 3, 4), 4, 10
LEVEL, NORMAL = 0.9, 1.6448536269514722
PLAIN = FullyConnected(width=64, layers=2)
PRIOR = RandomizedPrior(inner=PLAIN, scale=1.0)

EXPLANATION = f"""
Darcy flow: from the 16 leading cosine coefficients of log a to four numbers, the logarithms of the mean, the largest
and the central pressure and of the flow through the right wall. Ensembles of {SIZE} perceptrons (2 layers of 64),
with fixed random priors (scale {PRIOR.scale:g}) or without, trained on {FINE} solves on {DEAR}² cells (fine), on
{COARSE} on {CHEAP}² (coarse), or on those first and then on the {FINE} (both). In range: {CALIBRATE + TEST} solves on
{DEAR}² of the law of the training, σ = 1; out of range: {TEST} with σ = {WIDE}. RMSE: of the mean of the members, in
deviations of the truth in range. spread: root mean square of the deviation over the members out of range, over that
in range. raw: percent of the truths within {NORMAL:.3f} deviations of the mean, nominal 90. calibrated: percent
inside conformal 90 % bands by the members, calibrated on {CALIBRATE} of {CALIBRATE + TEST} solves in range, mean of
{SPLITS} divisions; their width, in deviations of the truth. Means over {len(SEEDS)} sets of seeds, which draw other
training samples too, least and most in brackets.
"""


class MeanSquare(Loss):
    """The mean square error of the four numbers."""

    kind: Literal["mean_square"] = "mean_square"

    def value(self, batch: Batch, penalty: Penalty | None) -> torch.Tensor:  # noqa: ARG002
        [(prediction, truth)] = batch.outputs()
        return (prediction - truth).square().mean()


def solved(cells: int, sigma: float, first: int, count: int) -> Arrays:
    """Return coefficients ``z`` ``(n, 16)`` and the four numbers ``q`` ``(n, 4)``."""
    problem = Darcy(shape=(cells, cells), law=Lognormal(sigma=sigma))
    inputs = problem.draw(0, np.arange(first, first + count))
    outputs, ledger = simulate(problem, inputs, Direct() if cells == CHEAP else Multigrid(), rtol=1e-8)
    assert set(ledger["status"]) == {"ok"}
    a, u = inputs["a"].astype(np.float64), outputs["u"]
    half = cells // 2
    centre = u[:, half - 1 : half + 1, half - 1 : half + 1].mean(axis=(1, 2))
    # Half a cell from the wall, where the pressure is 0, through edges of one cell.
    flow = 2 * (a[:, :, -1] * u[:, :, -1]).sum(axis=1)
    numbers = np.log(np.stack([u.mean(axis=(1, 2)), u.max(axis=(1, 2)), centre, flow], axis=1))
    return {"z": problem.features(inputs).astype(np.float32), "q": numbers}


TEMPLATE = xr.Dataset(
    {
        "z": (("sample", "coefficient"), np.full((1, 16), np.nan, np.float32), {"role": "input"}),
        "q": (("sample", "x"), np.full((1, 4), np.nan, np.float32), {"role": "output"}),
    }
)


def trained(surrogate: Network, fields: Arrays, seed: int, start: Model | None = None) -> Model:
    """Return a network that was trained on all samples, from new weights or those of a model."""
    count = len(fields["z"])
    few = count < 100
    training = Offline(
        epochs=(100 if start is not None else 300) if few else 40,
        batch_size=8 if few else 64,
        optimiser=AdamW(learning_rate=3e-4 if start is not None else 3e-3),
        losses=(MeanSquare(),),
        coarse=0.0,
        augment=False,
        seed=seed,
    )
    nothing = Block(0, np.empty(0, np.int64), np.empty(0, str), {name: rows[:0] for name, rows in fields.items()})
    ids = np.arange(count)
    supply = Given(TEMPLATE, lambda _: nothing, fixed=InMemory(ids, fields, (ids[:0], nothing.fields), seed))
    return training.fit(surrogate, supply, Surroundings(start=start)).model


def predicted(model: Model, fields: Arrays) -> Predicted:
    return Predicted({"z": fields["z"]}, model.predict(fields), {"q": fields["q"]})


def chosen(fields: Arrays, rows: np.ndarray | slice) -> Arrays:
    return {name: values[rows] for name, values in fields.items()}


Row = dict[str, float]


def measured(model: Model, validate: Arrays, inside: Arrays, outside: Arrays) -> Row:
    """Return errors, spread and coverage of an ensemble."""
    unit = inside["q"].std(axis=0)
    found: Row = {}
    spreads = []
    for name, fields in (("in", inside), ("out", outside)):
        deviation = model.members(fields)["q"].std(axis=0, ddof=1, dtype=np.float64)
        error = predicted(model, fields).error("q")
        found[f"rmse {name}"] = float(np.sqrt(np.mean((error / unit) ** 2)))
        found[f"raw {name}"] = 100 * float(np.mean(error <= NORMAL * deviation))
        spreads.append(float(np.sqrt(np.mean((deviation / unit) ** 2))))
    found["spread"] = spreads[1] / spreads[0]
    shares, shifted, widths = [], [], []
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(CALIBRATE + TEST)
        calibrate, test = (predicted(model, chosen(inside, rows)) for rows in np.split(order, [CALIBRATE]))
        method = Conformal(levels=(LEVEL,), spread=Members())
        bands = method.calibrate(predicted(model, validate), calibrate, About(model=model))
        lower, upper = (ends["q"] for ends in bands.interval(test.inputs, test.prediction, LEVEL))
        shares.append(100 * bands.measure(test)[0].measured)
        shifted.append(100 * bands.measure(predicted(model, outside))[0].measured)
        widths.append(float(np.mean((upper - lower) / unit)))
    return found | {"calibrated": np.mean(shares), "shifted": np.mean(shifted), "width": np.mean(widths)}


COLUMNS = {
    "rmse in": "RMSE in",
    "rmse out": "out",
    "spread": "spread",
    "raw in": "raw in",
    "raw out": "out",
    "calibrated": "calibrated in",
    "shifted": "out",
    "width": "width",
}


def main() -> None:
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    coarse = solved(CHEAP, 1.0, 0, COARSE)
    # One unit for all: that of the many cheap solves.
    mean, unit = coarse["q"].mean(axis=0), coarse["q"].std(axis=0)

    def scaled(fields: Arrays) -> Arrays:
        return fields | {"q": ((fields["q"] - mean) / unit).astype(np.float32)}

    coarse = scaled(coarse)
    pool = scaled(solved(DEAR, 1.0, 10_000, FINE * len(SEEDS)))
    validate = scaled(solved(DEAR, 1.0, 20_000, VALIDATE))
    inside = scaled(solved(DEAR, 1.0, 30_000, CALIBRATE + TEST))
    outside = scaled(solved(DEAR, WIDE, 40_000, TEST))
    found: dict[tuple[str, str], list[Row]] = {}
    for seed in SEEDS:
        fine = chosen(pool, slice(FINE * seed, FINE * (seed + 1)))
        log.info("set %d of %d", seed + 1, len(SEEDS))
        for name, member in (("with priors", PRIOR), ("without", PLAIN)):
            seeds = [SIZE * seed + number for number in range(SIZE)]
            cheap = [trained(member, coarse, one) for one in seeds]
            dear = [trained(member, fine, one) for one in seeds]
            both = [trained(member, fine, one, start) for one, start in zip(seeds, cheap, strict=True)]
            for samples, members in (("fine", dear), ("coarse", cheap), ("both", both)):
                model = Ensemble(member=member, size=SIZE).joined(members)
                found.setdefault((name, samples), []).append(measured(model, validate, inside, outside))
                log.info("%s, %s: %s", name, samples, found[name, samples][-1])
    lines = [[*key, *(_spread([row[column] for row in rows]) for column in COLUMNS)] for key, rows in found.items()]
    print(*provenance(shlex.join(["python", "-m", "benchmarks.randomized_priors", *sys.argv[1:]])), sep="\n")
    print(f"torch {version('torch')}.")
    print("", *textwrap.wrap(EXPLANATION.strip(), 118), "", sep="\n")
    print(*align(("members", "samples", *COLUMNS.values()), lines, left=(0, 1)), sep="\n")


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3g} [{min(values):.3g}, {max(values):.3g}]"


if __name__ == "__main__":
    main()
