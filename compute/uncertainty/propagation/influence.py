"""Which coordinates of a law matter for a quantity: Sobol' indices by solves, or by a cheap rung that they correct."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ritz.compute.uncertainty.propagation.chain import Pilot
from ritz.compute.uncertainty.propagation.points import BASE, Points
from ritz.compute.uncertainty.propagation.telescope import BLOCK, Ask, Wanted
from ritz.compute.uncertainty.sensitivity.coordinates import samples_at
from ritz.compute.uncertainty.sensitivity.sobol import LEAST, Indices, SobolIndices

REPLICATES = 8
"""Of the points, from which the intervals come."""

FEWEST, MOST = 16, 2**16
"""Points of a replicate."""

FOLLOWS = 0.5
"""Squared correlation from which on a rung says enough of the truth; with less, solves alone are better."""

_DESIGN, _CHECK = 2**20, 2**21
"""In the place of a term, so that the samples are those of no other question: plus the number of a block."""


@dataclass(frozen=True)
class Influence:
    """Sobol' indices of quantities in the leading coordinates of a law, and in all the others together.

    Attributes
    ----------
    indices
        A row per quantity, a column per coordinate, the last one for the rest of a draw.
    rung
        Whose values they are; the truth, or a cheap rung that solves have corrected.
    samples
        Values in all.
    solved
        Of the truth.
    seconds
        Of each rung.
    """

    indices: Indices
    rung: str
    samples: int
    solved: int
    seconds: dict[str, float]


def influence(ask: Ask, compared: Pilot, seed: int, leading: int, level: float, left: float) -> Influence:
    """Estimate the indices in some seconds.

    Parameters
    ----------
    ask
        Answers.
    compared
        A pilot, by which the rung is chosen.
    leading
        Coordinates, the first ones of the law.
    left
        Seconds that the values may take, as the prices say.

    Raises
    ------
    ValueError
        If that is not enough for `FEWEST` points of a replicate, or a quantity is a constant.
    """
    truth, width = compared.truth, leading + 3
    found: list[tuple[int, bool, str]] = []
    for name in compared.values:
        if name != truth and compared.squared_correlation_interval(truth, name)[0].min() < FOLLOWS:
            continue
        check = 0.0 if name == truth else LEAST * width * (compared.prices[truth] + compared.prices[name])
        most = (left - check) / (REPLICATES * width * compared.prices[name])
        if most >= FEWEST:
            found.append((min(MOST, 2 ** int(np.log2(most))), name == truth, name))
    if not found:
        least = REPLICATES * FEWEST * width * compared.prices[truth]
        raise ValueError(
            f"seconds leave {left:.2g} for the indices of {leading} coordinates, expected {least:.2g} or more for "
            f"{REPLICATES * FEWEST * width} solves"
        )
    # With as many points solves are better: what corrects a rung widens its intervals.
    points, _, rung = max(found)
    rule = SobolIndices(points=points, replicates=REPLICATES, level=level)
    seconds: dict[str, float] = dict.fromkeys((truth, rung), 0.0)

    def values(name: str, at: np.ndarray, term: int) -> np.ndarray:
        blocks = [
            Wanted(term + number, (name,), 0, _points(seed, at[first : first + BLOCK]))
            for number, first in enumerate(range(0, len(at), BLOCK))
        ]
        parts: dict[int, np.ndarray] = {}
        for one in ask(blocks):
            parts[one.asked.term] = one.values[0]
            seconds[name] += one.seconds[0]
        return np.concatenate([parts[block.term] for block in blocks])

    design = rule.design(leading + 1, seed)
    own = values(rung, design, _DESIGN)
    if rung == truth:
        return Influence(rule.indices(own), rung, len(design), len(design), seconds)
    few = rule.check_points(leading + 1, seed, LEAST)
    corrected = rule.corrected(own, values(rung, few, _CHECK), values(truth, few, _CHECK))
    return Influence(corrected.indices, rung, len(design) + 2 * len(few), len(few), seconds)


def _points(seed: int, at: np.ndarray) -> Points:
    """Return the samples whose last coordinate stands for all of a draw that the others leave open."""
    ids, given = samples_at(at)
    return Points(seed, BASE + ids, given)
