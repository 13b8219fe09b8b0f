"""Laws of boundary traces, fitted to few full solves, as inputs of a submodel: how far off its quantities are.

python -m benchmarks.generators > benchmarks/generators.txt                  # about 10 minutes on one core
python -m benchmarks.generators --repeats 2
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
from collections.abc import Mapping

import numpy as np
import scipy

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.simulation.quickest import quickest
from ritz.compute.simulation.simulate import simulate
from ritz.compute.uncertainty.propagation.traces.pca_copula import PCACopula
from ritz.compute.uncertainty.propagation.traces.pca_gaussian import PCAGaussian
from ritz.compute.uncertainty.propagation.traces.smoothed_bootstrap import SmoothedBootstrap

log = logging.getLogger("benchmarks")

CELLS, TRAIN, DRAWS, REPEATS, RTOL = 64, 200, 500, 20, 1e-8

CASES = {"resonant, k0 = 20": 20.0, "mild, k0 = 12": 12.0}

QUANTITIES = ("max|u|", "energy", "flux")

FLOOR, PLAIN = "noise floor", "bootstrap"

GENERATORS = {
    PLAIN: SmoothedBootstrap(bandwidth=0.0),
    "smoothed bootstrap, 0.1": SmoothedBootstrap(),
    "smoothed bootstrap, 0.3": SmoothedBootstrap(bandwidth=0.3),
    "PCA-Gaussian, 16": PCAGaussian(),
    "PCA-copula, 4": PCACopula(components=4),
    "PCA-copula, 8": PCACopula(components=8),
    "PCA-copula, 16": PCACopula(),
    "PCA-copula, 32": PCACopula(components=32),
}

DEFAULT, RIVAL, GAUSSIAN = "PCA-copula, 16", "smoothed bootstrap, 0.1", "PCA-Gaussian, 16"

EXPLANATION = f"""
Full model: Helmholtz {CELLS}², k within 10 % of k0, a random field (the default of the family). Trace: u in the cells
left of the mid-line. Submodel: the right half, with k = k0 and its part of the source, driven by the trace. Its
quantities: the largest |u|, the integral of u², the flow through the right wall. A law is fitted to {TRAIN} traces, and
{DRAWS} of its draws drive the submodel. Table: Wasserstein distance of order 1 between the quantities of the draws and
those of {DRAWS} true traces, over the standard deviation of the latter. noise floor: {DRAWS} other true traces in the
place of the draws. Medians over repeats, each with traces, truth and draws of its own; in brackets the first and ninth
decile. The number is that of components, or the width of the noise. goal: at most the noise floor or 1.25 times the
smoothed bootstrap with the default noise, whichever is larger, by the medians.
"""


class Submodel:
    """The right half of the box, in a medium without variation."""

    def __init__(self, problem: Helmholtz) -> None:
        cells = problem.shape[0]
        matrix = problem.matrices({"k": np.full((1, cells, cells), problem.wavenumber)}).csr(0)
        column = np.broadcast_to(np.arange(cells), (cells, cells)).ravel()
        inner, outer = np.flatnonzero(column >= cells // 2), np.flatnonzero(column == cells // 2 - 1)
        self.cells, self.source = cells, problem.source().ravel()[inner]
        self.coupling = matrix[inner][:, outer]
        self.factors = scipy.sparse.linalg.splu(matrix[inner][:, inner].tocsc())
        # The coefficients of the equations are flows over cells of this area.
        self.area = 1.0 / cells**2

    def solve(self, traces: np.ndarray) -> np.ndarray:
        """Return u in the right half, ``(n, cells, cells/2)``."""
        u = self.factors.solve(self.source[:, None] - self.coupling @ traces.T)
        return u.T.reshape(len(traces), self.cells, self.cells // 2)

    def quantities(self, traces: np.ndarray) -> np.ndarray:
        """Return the quantities, ``(n, 3)``."""
        u = self.solve(traces)
        flat = u.reshape(len(u), -1)
        # The wall lies half a cell from the centres: the flow through a face is 2 u, per cell width.
        return np.stack([np.abs(flat).max(axis=1), self.area * np.sum(flat**2, axis=1), 2 * u[:, :, -1].sum(axis=1)], 1)


class Traces:
    """True traces of the full model, none of them twice."""

    def __init__(self, problem: Helmholtz) -> None:
        self.problem, self.next, self.failed = problem, 0, 0
        self.solver = quickest(problem, problem.draw(0, np.arange(4)), RTOL)

    def take(self, count: int) -> np.ndarray:
        """Return fresh traces; a sample so near a resonance that it failed is replaced and counted."""
        found: list[np.ndarray] = []
        while (missing := count - sum(map(len, found))) > 0:
            inputs = self.problem.draw(0, np.arange(self.next, self.next + missing))
            self.next += missing
            fields, ledger = simulate(self.problem, inputs, self.solver, RTOL)
            good = np.array(ledger["status"]) == "ok"
            self.failed += int(np.sum(~good))
            found.append(fields["u"][good][:, :, CELLS // 2 - 1])
        return np.concatenate(found)


def distances(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the Wasserstein distance of each quantity in standard deviations of the truth."""
    return np.array([scipy.stats.wasserstein_distance(a, b) / b.std() for a, b in zip(values.T, truth.T, strict=True)])


def measure(wavenumber: float, repeats: int) -> tuple[Mapping[str, np.ndarray], float, int]:
    """Return the distances ``(repeats, 3)`` by law, the excess kurtosis of max|u|, and the samples that failed."""
    problem = Helmholtz(shape=(CELLS, CELLS), wavenumber=wavenumber)
    submodel, traces = Submodel(problem), Traces(problem)
    found: dict[str, list[np.ndarray]] = {}
    largest: list[np.ndarray] = []
    for repeat in range(repeats):
        known, truth, other = (traces.take(count) for count in (TRAIN, DRAWS, DRAWS))
        exact = submodel.quantities(truth)
        largest.append(exact[:, 0])
        found.setdefault(FLOOR, []).append(distances(submodel.quantities(other), exact))
        for name, law in GENERATORS.items():
            drawn = law.fit(known).draw(repeat, np.arange(DRAWS))
            found.setdefault(name, []).append(distances(submodel.quantities(drawn), exact))
        log.info("k0 = %g: repeat %d", wavenumber, repeat + 1)
    kurtosis = float(scipy.stats.kurtosis(np.concatenate(largest)))
    return {name: np.array(values) for name, values in found.items()}, kurtosis, traces.failed


def rows(title: str, found: Mapping[str, np.ndarray]) -> tuple[list[list[str]], list[str]]:
    """Return the lines of a case, and what comes of the goal."""
    lines: list[list[str]] = []
    for name, values in found.items():
        cells = []
        for column in values.T:
            low, middle, high = np.quantile(column, [0.1, 0.5, 0.9])
            cells.append(f"{middle:.3f} [{low:.3f}, {high:.3f}]")
        lines.append(["" if lines else title, name, *cells])
    middle = {name: np.median(values, axis=0) for name, values in found.items()}
    goals = np.maximum(1.25 * middle[RIVAL], middle[FLOOR])
    said = [
        f"{title}, {quantity}: {DEFAULT} {own:.3f}, goal {goal:.3f}: {'met' if own <= goal else 'NOT MET'}; "
        f"{own / gaussian:.2f} of {GAUSSIAN} (whose largest of "
        f"all repeats is {worst:.2f}), {own / plain:.2f} of the bootstrap without noise"
        for quantity, own, goal, gaussian, worst, plain in zip(
            QUANTITIES,
            middle[DEFAULT],
            goals,
            middle[GAUSSIAN],
            found[GAUSSIAN].max(axis=0),
            middle[PLAIN],
            strict=True,
        )
    ]
    return lines, said


def main() -> None:
    """Print the table."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    command = shlex.join(["python", "-m", "benchmarks.generators", *sys.argv[1:]])
    print(*provenance(command), "", *textwrap.wrap(EXPLANATION.strip(), 118), "", sep="\n", flush=True)
    lines: list[list[str]] = []
    said: list[str] = []
    for title, wavenumber in CASES.items():
        found, kurtosis, failed = measure(wavenumber, arguments.repeats)
        more, verdicts = rows(title, found)
        lines += more
        said += [
            f"{title}: excess kurtosis of max|u| {kurtosis:.0f}; {failed} full solves failed and were replaced",
            *verdicts,
        ]
    print(f"{arguments.repeats} repeats.", "", sep="\n")
    wrapped = [line for text in said for line in textwrap.wrap(text, 118, subsequent_indent="    ")]
    print(*align(("case", "traces of", *QUANTITIES), lines, left=(0, 1)), "", *wrapped, sep="\n")


if __name__ == "__main__":
    main()
