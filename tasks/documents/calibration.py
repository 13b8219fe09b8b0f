"""What the error bars of a model were worth."""

from __future__ import annotations

from collections.abc import Mapping

from ritz.compute.document import Document, Number, Part


class CoverageRow(Part):
    """Intervals of one nominal coverage on the test split; what else a method measures comes after.

    Attributes
    ----------
    measured
        Share of what was inside.
    width
        Mean of upper minus lower.
    """

    nominal: Number
    measured: Number
    width: Number


Coverage = Mapping[str, CoverageRow]
"""By nominal coverage, as JSON has it for a key: ``"0.9"``."""


def at(coverage: Coverage, level: float) -> CoverageRow | None:
    """Return the row of a nominal coverage, None where it was not measured."""
    return coverage.get(key(level))


def key(level: float) -> str:
    """Return the key of a nominal coverage."""
    return f"{level:g}"


class Calibration(Document):
    """How a model was quantified.

    Attributes
    ----------
    dataset
        ``NAME@VERSION``.
    samples
        Used, by split.
    """

    dataset: str
    samples: Mapping[str, int]
    coverage: Coverage
