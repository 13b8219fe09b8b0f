"""Whether the intervals of standard deviations hold: of solves alone, and with a surrogate in the chain.

python -m benchmarks.deviations > benchmarks/deviations.txt                  # about 5 minutes on one core
python -m benchmarks.deviations --repetitions 50
"""

from __future__ import annotations

import argparse
import shlex
import sys
import textwrap
from collections.abc import Callable

import numpy as np
import scipy

from benchmarks.populations.coverage import Pools
from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.evaluation.quantities.fields import MeanValue
from ritz.compute.uncertainty.propagation.propagation import TRUTH, Propagation
from ritz.tasks.propagation.worker import NETWORK

REPETITIONS, POPULATION, LEVEL = 500, 200_000, 0.95

LAWS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "normal": lambda rng: rng.standard_normal(POPULATION),
    "x + y²/2": lambda rng: rng.standard_normal(POPULATION) + 0.5 * rng.standard_normal(POPULATION) ** 2,
    "exponential": lambda rng: rng.exponential(size=POPULATION),
    "lognormal, 0.5": lambda rng: np.exp(0.5 * rng.standard_normal(POPULATION)),
    "lognormal, 1": lambda rng: np.exp(rng.standard_normal(POPULATION)),
}
"""Of the quantity; of the last one the square has so long a tail that few samples do not show it."""

ERRORS = (0.1, 0.05)
"""Half widths of the intervals to reach, in standard deviations."""

EXPLANATION = f"""
The population is a pool of {POPULATION} values of a law, drawn from with replacement, so that its standard deviation
is known. The surrogate has 0.8 times the value, another mean, and noise of a tenth of the deviation; it costs a
hundredth of a solve. ±: the half width that was asked for, in deviations. solves: the mean of their number. holds: how
many of the intervals of {LEVEL:.0%} hold. χ²: the same of the textbook interval for normal values, from as many random
solves.
"""


def main() -> None:
    """Print the table."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    repetitions = parser.parse_args().repetitions
    command = shlex.join(["python", "-m", "benchmarks.deviations", *sys.argv[1:]])
    print(*provenance(command), "", *textwrap.wrap(EXPLANATION.strip(), 118), "", sep="\n", flush=True)
    rows = [
        row
        for number, (law, draw) in enumerate(LAWS.items())
        for row in measured(law, draw(np.random.default_rng(number)), repetitions)
    ]
    header = ("law", "rungs", "±", "solves", "holds", "interval of that share", "χ² holds")
    print(f"{repetitions} repetitions.", "", *align(header, rows, left=(0, 1)), sep="\n")


def measured(law: str, values: np.ndarray, repetitions: int) -> list[list[str]]:
    """Return the rows of a law."""
    exact, rows = float(values.std()), []
    noise = np.random.default_rng(99).standard_normal(len(values))
    pools = Pools(
        {TRUTH: values[:, None], NETWORK: (3 + 0.8 * values + 0.1 * exact * noise)[:, None]},
        {TRUTH: 1.0, NETWORK: 0.01},
    )
    for names in ((TRUTH,), (TRUTH, NETWORK)):
        for error in ERRORS:
            asked = Propagation(quantities=(MeanValue(of="u"),), deviation=True, error=error * exact, level=LEVEL)
            held, textbook, solves = 0, 0, 0
            for seed in range(repetitions):
                found = asked.run(pools.ask, names, seed, 0).deviations
                assert found is not None
                held += int(found.low[0] <= exact <= found.high[0])
                solves += found.samples[0]
                textbook += _normal_holds(values, found.samples[0], seed, exact)
            ends = scipy.stats.binomtest(held, repetitions).proportion_ci(0.95, method="exact")
            rows.append(
                [
                    *(law, " and ".join(names), f"{error:g}", f"{solves / repetitions:.0f}"),
                    *(f"{held / repetitions:.1%}", f"{ends.low:.1%} to {ends.high:.1%}"),
                    f"{textbook / repetitions:.1%}",
                ]
            )
    return rows


def _normal_holds(values: np.ndarray, count: int, seed: int, exact: float) -> bool:
    """Return whether the interval by the χ² distribution holds the deviation."""
    squares = (count - 1) * float(np.random.default_rng(seed).choice(values, count).var(ddof=1))
    low, high = (squares / scipy.stats.chi2.ppf((1 + side * LEVEL) / 2, count - 1) for side in (1, -1))
    return bool(low <= exact**2 <= high)


if __name__ == "__main__":
    main()
