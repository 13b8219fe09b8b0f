"""Where a start pays: solves begun at zero or the step before, at a surrogate's prediction, at a solved neighbour.

python -m benchmarks.starts > benchmarks/starts.txt          # about 5 minutes on one core
python -m benchmarks.starts --family darcy --epochs 2
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from benchmarks.stepping import error, solved, trained
from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.elliptic import Elliptic
from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.evolutions.allen_cahn import AllenCahn
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.starts.answered import Solvers, answered
from ritz.compute.simulation.starts.neighbours import nearest
from ritz.compute.simulation.starts.race import race
from ritz.compute.simulation.starts.record import OWN, StartChoice
from ritz.compute.simulation.starts.start import Start, Starts
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.preconditioners.icc import ICC
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.spectral.fno import FNO

log = logging.getLogger("benchmarks")

FAMILIES: dict[str, Problem] = {
    "darcy": Darcy(shape=(64, 64)),
    "elliptic": Elliptic(shape=(64, 64)),
    "elliptic, β 30": Elliptic(shape=(64, 64), growth=30.0),
    "heat": Heat(shape=(32, 32), steps=8),
    "burgers": Burgers(points=128, steps=16, end=0.5),
    "burgers, 4 steps": Burgers(points=128, steps=4, end=0.5),
    "allen-cahn": AllenCahn(shape=(32, 32), epsilon=0.05, steps=10, end=5.0),
}
NETWORK = FNO(modes=12, width=16, layers=3)
SAMPLES, TEST, EPOCHS, ROUNDS, RTOL = 200, 36, 15, 3, 1e-8
STILL, PREDICTION, NEIGHBOURS = "zero, state before", "prediction", "neighbours"

EXPLANATION = f"""
A race chooses the start of every family (`ritz.compute.simulation.starts.race`), as `ritz predict --certify` does: from
each start the same samples are solved in turn to a true residual of {RTOL:g}, with the solver that is quickest there.
own: what the problem does by itself, zero for Newton's method and linear equations, the state that the step before
points to in time. {STILL}: the same zero, or the state before a step without its slope, but through the
iteration that goes on from given fields, as all others do. prediction: of an FNO (modes {NETWORK.modes}, width
{NETWORK.width}, {NETWORK.layers} layers) of {SAMPLES} samples and {{epochs}} epochs, whose error is in brackets.
neighbours: the solution of the nearest of these {SAMPLES} samples; in time its steps. residual: median relative
residual of the fields at the start, of zero 1 where the equations are linear; of the worst step in time. systems: per
sample, such as steps of Newton's method. its: iterations per sample. ms: processor time per sample, median over
{ROUNDS} races of 12 samples each; prediction and neighbours without what it took to predict (next column) or to find
them. ×: ms over those of the problem's own start. wins: races won; another start has to save a tenth of the time of the
problem's own.
"""


def starts(problem: Problem, train: Arrays, test: Arrays, prediction: Arrays) -> list[Starts]:
    """Return the starts of test samples beside the problem's own."""
    near = nearest(problem, test, train)
    first = problem.start(test).fields if isinstance(problem, Evolution) else None

    def still(rows: np.ndarray) -> Start:
        if first is None:
            return Start({name: np.zeros_like(values[rows]) for name, values in prediction.items()})
        return Start({n: np.broadcast_to(first[n][rows, None], v[rows].shape) for n, v in prediction.items()})

    def predicted(rows: np.ndarray) -> Start:
        return Start({name: values[rows] for name, values in prediction.items()})

    def neighbour(rows: np.ndarray) -> Start:
        theirs = {name: values[near[rows]] for name, values in train.items()}
        begun = problem.start(theirs).fields if isinstance(problem, Evolution) else None
        return Start({name: theirs[name] for name in prediction}, begun)

    return [Starts(STILL, still), Starts(PREDICTION, predicted), Starts(NEIGHBOURS, neighbour)]


def predicted(problem: Problem, train: Arrays, test: Arrays, epochs: int) -> tuple[Arrays, float, float]:
    """Return predictions of a network, their error, and its milliseconds per sample."""
    model: Model = trained(problem, train, NETWORK, epochs, seed=0)[0]
    model.predict(test)
    began = time.process_time()
    found = model.predict(test)
    ms = 1e3 * (time.process_time() - began) / TEST
    return found, float(np.mean([error(values, test[name]) for name, values in found.items()])), ms


def rows_of(title: str, choices: Sequence[StartChoice], off: float, ms: float) -> list[tuple[str, ...]]:
    """Return the rows of a family."""
    won = Counter(choice.chosen for choice in choices)
    found = []
    for name in (OWN, STILL, PREDICTION, NEIGHBOURS):
        tried = [next(one for one in choice.tried if one.start == name) for choice in choices]
        own = [next(one.seconds for one in choice.tried if one.start == OWN) for choice in choices]
        residuals = [one.residual for one in tried if one.residual is not None]
        lost = sum(one.lost for one in tried)
        found.append(
            (
                title if name == OWN else "",
                name + (f" ({off:.3f})" if name == PREDICTION else ""),
                f"{np.median(residuals):.2g}" if residuals else "–",
                f"{np.mean([one.systems for one in tried]):.1f}",
                f"{np.mean([one.iterations for one in tried]):.1f}",
                f"{1e3 * np.median([one.seconds for one in tried]):.2f}",
                f"{ms:.2f}" if name == PREDICTION else "–",
                f"{np.median([one.seconds / mine for one, mine in zip(tried, own, strict=True)]):.2f}",
                f"{won[name]} of {len(choices)}",
                f"lost its way in {lost} of {sum(one.samples for one in tried)}" if lost else "",
            )
        )
    return found


def with_cg(problem: Problem, ways: Sequence[Starts]) -> list[tuple[str, ...]]:
    """Return what conjugate gradients with ICC take from each start, of a linear problem."""
    solver = Krylov(method="cg", preconditioner=ICC())
    solvers, rows, found = Solvers(solver, solver), np.arange(TEST), []
    inputs = problem.draw(0, np.arange(SAMPLES, SAMPLES + TEST))
    for name, start in ((OWN, None), *((one.name, one.of(rows)) for one in ways)):
        seconds = []
        for _ in range(ROUNDS + 1):
            began = time.process_time()
            answer = answered(problem, inputs, start, solvers, RTOL)
            seconds.append((time.process_time() - began) / TEST)
        assert answer.good.all()
        found.append((name, f"{np.mean(answer.ledger['iterations']):.1f}", f"{1e3 * np.median(seconds[1:]):.2f}"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", action="append", choices=FAMILIES, help="one of the families; repeatable")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="epochs of the training of the network")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    one_thread()
    columns = ("problem", "start", "residual", "systems", "its", "ms", "to predict", "×", "wins", "")
    lines: list[tuple[str, ...]] = []
    cg: list[tuple[str, ...]] = []
    for title in given.family or FAMILIES:
        log.info("%s", title)
        problem = FAMILIES[title]
        fields = solved(problem, SAMPLES + TEST)
        train, test = ({n: v[rows] for n, v in fields.items()} for rows in (slice(SAMPLES), slice(SAMPLES, None)))
        prediction, off, ms = predicted(problem, train, test, given.epochs)
        choices = []
        for part in np.array_split(np.arange(TEST), ROUNDS):
            some, said = ({n: v[part] for n, v in one.items()} for one in (test, prediction))
            choices.append(race(problem, some, starts(problem, train, some, said), RTOL)[1])
        lines += rows_of(title, choices, off, ms)
        if title == "darcy":
            cg = with_cg(problem, starts(problem, train, test, prediction))
    print(*provenance(shlex.join(["python", "-m", "benchmarks.starts", *sys.argv[1:]])), sep="\n")
    print(f"torch {version('torch')}.")
    print(textwrap.fill(" ".join(EXPLANATION.format(epochs=given.epochs).split()), 120))
    print("", *align(columns, lines, left=(0, 1, 9)), sep="\n")
    if cg:
        print("", "darcy by conjugate gradients with ICC", *align(("start", "its", "ms"), cg, left=(0,)), sep="\n")


if __name__ == "__main__":
    main()
