"""The cookies of UM-Bridge: ∫ u over the heated square at published points, its published mean, quasi-random draws.

python -m benchmarks.cookies > benchmarks/cookies.txt                    # about a minute on one core
"""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Mapping
from typing import Literal

import numpy as np
import scipy

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.evaluation.quantities.fields import Integral
from ritz.compute.fields.arrays import Array
from ritz.compute.problems.cookies import SQUARE, Cookies, shares
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.multigrid.multigrid import Multigrid

QUANTITY = Integral(of="u", low=(SQUARE[0],) * 2, high=(SQUARE[1],) * 2)

RTOL, GRIDS = 1e-10, (40, 80, 160, 320)

POINTS: dict[str, tuple[tuple[float, ...], float]] = {
    "all −0.595": ((-0.595,) * 8, 0.062255257529767),
    "−0.2, −0.2, −0.3 … −0.8": ((-0.2, -0.2, -0.3, -0.4, -0.5, -0.6, -0.7, -0.8), 0.05725576523730292),
    "the published test": (
        (
            *(-2.3939786473373e-01, -8.6610045659126e-01, -2.1086275315687e-01, -9.2604304103162e-01),
            *(-6.0002531612112e-01, -5.5677423053456e-01, -7.7546408441658e-01, -7.6957620518706e-01),
        ),
        0.06933717558839111,
    ),
}
"""The y_n, and Q by bilinear elements on 400² cells."""

CUBIC = 0.06937554567023371
"""Q of the last one by cubic elements on 300² cells."""

MEAN = 0.064202367186117
"""E[Q] by a sparse grid of 15713 points, level 5, with bilinear elements on 400² cells."""

SAMPLES, SCRAMBLINGS = 256, 32


class Harmonic(Cookies):
    """The same with the harmonic mean, by areas, of the conductivity in cut cells."""

    kind: Literal["cookies_harmonic"] = "cookies_harmonic"  # type: ignore[assignment]  # one of its own

    def conductivities(self, inputs: Mapping[str, Array]) -> Array:
        change = inputs["y_n"].astype(np.float64)
        return 1 / (1 + np.tensordot(1 / (1 + change) - 1, shares(self.shape), axes=1))


def integrals(problem: Cookies, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Solve, block by block, and return Q of every sample."""
    found = []
    for start in range(0, len(inputs["y_n"]), SAMPLES):
        block = {name: values[start : start + SAMPLES] for name, values in inputs.items()}
        fields, ledger = simulate(problem, block, Multigrid(), RTOL)
        assert set(ledger["status"]) == {"ok"}
        found.append(QUANTITY.value(problem, block, fields))
    return np.concatenate(found)


def off(found: float, published: float) -> str:
    return f"{100 * (found / published - 1):+.3f}"


def points(kind: type[Cookies], mean: str) -> list[list[str]]:
    """Return the rows of the published points: how far Q is off on every grid, in percent."""
    given = {"y_n": np.array([change for change, _ in POINTS.values()], np.float32)}
    found = []
    for cells in GRIDS:
        problem = kind(shape=(cells, cells))
        found.append(integrals(problem, given))
    return [[name, mean, *(off(q[row], value) for q in found)] for row, (name, (_, value)) in enumerate(POINTS.items())]


def scrambled(problem: Cookies, number: int) -> float:
    """Return the mean of Q over the points of one scrambled Sobol' sequence."""
    drawn = scipy.stats.qmc.Sobol(problem.leading, seed=number).random(SAMPLES)
    return float(integrals(problem, problem.draw_at(0, np.arange(SAMPLES), drawn)).mean())


def variances(problem: Cookies) -> list[str]:
    """Return the row of E[Q] and of the variances by both sorts of draws."""
    count = SAMPLES * SCRAMBLINGS
    plain = integrals(problem, problem.draw(1, np.arange(count)))
    means = np.array([scrambled(problem, number) for number in range(SCRAMBLINGS)])
    monte_carlo, quasi = plain.var(ddof=1) / SAMPLES, means.var(ddof=1)
    low, high = monte_carlo / quasi / scipy.stats.f.ppf([0.975, 0.025], count - 1, SCRAMBLINGS - 1)
    error = quasi**0.5 / SCRAMBLINGS**0.5
    return [
        f"{problem.shape[0]}²",
        f"{plain.mean():.6f} ± {(plain.var(ddof=1) / count) ** 0.5:.6f}",
        f"{means.mean():.8f} ± {error:.8f}",
        off(means.mean(), MEAN),
        f"{monte_carlo**0.5:.1e}",
        f"{quasi**0.5:.1e}",
        f"{monte_carlo / quasi:.0f}",
        f"{low:.0f} to {high:.0f}",
        "yes" if low >= 100 else "NO",
    ]


def paragraph(text: str) -> list[str]:
    return ["", *textwrap.wrap(" ".join(text.split()), 118), ""]


def main() -> None:
    """Print the tables."""
    one_thread()
    lines = provenance(f"python -m {shlex.join(['benchmarks.cookies', *sys.argv[1:]])}")
    cubic, bilinear = CUBIC, POINTS["the published test"][1]
    lines += paragraph(
        f"""Q = ∫ u over [0.4, 0.6]², the quantity {QUANTITY.name}, at points of y whose Q is published (UM-Bridge,
        bilinear elements on 400² cells): by how many percent Q on a grid is off. The published values have errors too.
        Q is a hundredth of the energy ∫ f u, which conforming elements with exact integrals make too small; cubic
        elements on 300² cells, published for the last point alone, are {off(cubic, bilinear)} % off the bilinear ones.
        Means of the conductivity in cells that the rim of a cookie cuts: arithmetic, as the family has it, and
        harmonic, by the areas."""
    )
    rows = [*points(Cookies, "arithmetic"), *points(Harmonic, "harmonic")]
    lines += align(["y", "mean in cut cells", *(f"{cells}²" for cells in GRIDS)], rows, left=(0, 1))
    lines += paragraph(
        f"""E[Q], published as {MEAN:.10f} (sparse grid, 15713 solves on 400²), by {SAMPLES * SCRAMBLINGS} random draws,
        and by {SCRAMBLINGS} scramblings of {SAMPLES} Sobol' points in the 8 coordinates of `Cookies.draw_at`, each with
        its standard error; off is the error of the grid against the published value. Then the standard deviation of a
        mean of {SAMPLES} solves, by random draws and by Sobol' points, and the ratio of their variances with its 95 %
        interval (F distribution)."""
    )
    columns = ["grid", "E[Q], random", "E[Q], Sobol'", "off, %", "sd, random", "sd, Sobol'", "ratio", "95 %", "≥ 100"]
    lines += align(columns, [variances(Cookies(shape=(cells, cells))) for cells in (40, 80)], left=(0,))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
