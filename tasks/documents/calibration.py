"""What the error bars of a model were worth."""

from __future__ import annotations

from collections.abc import Mapping

from ritz.compute.document import Document, DocumentPart, Json, Number


class BySample(DocumentPart):
    """Shares of the points inside, sample by sample: the least, and the quantiles of 10 and 50 %."""

    least: Number
    tenth: Number
    median: Number


class FieldsRow(DocumentPart):
    """Bands around whole fields: of how many samples all points were inside, with the exact interval of 95 %.

    Attributes
    ----------
    detects
        The smallest drop below nominal that so many samples show, None where none does.
    """

    inside: int
    of: int
    measured: Number
    low: Number
    high: Number
    width: Number
    detects: Number | None = None

    def text(self) -> str:
        """Return the share with its interval."""
        return f"{self.measured:.1%} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


class CoverageRow(DocumentPart):
    """Intervals of one nominal coverage on the test split; what else a method measures comes after.

    Attributes
    ----------
    measured
        Share of what was inside.
    width
        Mean of upper minus lower.
    low, high
        Interval of 95 % of ``measured``: the points of a sample are one observation.
    effective
        How many independent points would tell as much; None where samples do not differ.
    by_sample
        The shares of single samples.
    expected
        Between what the coverage is expected over calibrations.
    fields
        What the bands around whole fields were worth.
    by_zone, by_step, by_difficulty
        Shares with their intervals of 95 %: by ring of cells from the walls inwards, by time, and by a fifth of the
        samples each, those with the narrowest intervals first.
    by_step_together
        Intervals of the shares by time that all hold at once with 95 % (Bonferroni); None in documents of releases
        that did not measure them.
    width_over_sd
        Mean width over the standard deviation of the truth, a mean over the outputs; None where it was not measured.
    """

    nominal: Number
    measured: Number
    width: Number
    low: Number | None = None
    high: Number | None = None
    effective: Number | None = None
    by_sample: BySample | None = None
    expected: tuple[Number, Number] | None = None
    fields: FieldsRow | None = None
    by_zone: tuple[tuple[Number, Number, Number], ...] | None = None
    by_step: tuple[tuple[Number, Number, Number], ...] | None = None
    by_step_together: tuple[tuple[Number, Number], ...] | None = None
    by_difficulty: tuple[tuple[Number, Number, Number], ...] | None = None
    width_over_sd: Number | None = None

    def text(self) -> str:
        """Return the share with its interval, where that was measured."""
        interval = "" if self.low is None or self.high is None else f" [{100 * self.low:.1f}, {100 * self.high:.1f}]"
        return f"{self.measured:.1%}{interval}"

    def over_time(self) -> str:
        """Return the least and the largest share by time, and at how many times it is below nominal; or ``""``."""
        if not self.by_step or not self.by_step_together:
            return ""
        shares = [share for share, _, _ in self.by_step]
        below = sum(high < self.nominal for _, high in self.by_step_together)
        return (
            f"{min(shares):.1%} to {max(shares):.1%} over {len(shares)} times; the interval, which holds at all of "
            f"them together, ends below nominal at {below}"
        )

    def beyond(self, nominal: float, bound: float) -> bool:
        """Return whether even the end of the interval that is nearer to ``nominal`` is further from it than a bound."""
        low, high = (self.measured if end is None else end for end in (self.low, self.high))
        return not nominal - bound <= high or not low <= nominal + bound


class Drop(DocumentPart):
    """By how much coverage falls on another law: the difference and the ends of its interval of 95 %."""

    points: tuple[Number, Number, Number]
    fields: tuple[Number, Number, Number] | None = None

    def text(self) -> str:
        """Return the drops in percentage points."""
        parts = []
        for name, found in (("points", self.points), ("whole fields", self.fields)):
            if found is not None:
                drop, low, high = (100 * one for one in found)
                parts.append(f"{name} {drop:+.1f} [{low:+.1f}, {high:+.1f}]")
        return ", ".join(parts)


class Shifted(DocumentPart):
    """What the error bars were worth on another law.

    Attributes
    ----------
    changes
        Fields of the problem that have other values there.
    samples
        Solved.
    relative_l2
        Mean error of the predictions.
    coverage
        By nominal coverage, as on the test split.
    drop
        Coverage on the test split less coverage there, by nominal coverage.
    """

    changes: Json
    samples: int
    relative_l2: Number
    coverage: Mapping[str, CoverageRow]
    drop: Mapping[str, Drop]


Coverage = Mapping[str, CoverageRow]
"""By nominal coverage, as JSON has it for a key: ``"0.9"``."""


def at(coverage: Coverage, level: float) -> CoverageRow | None:
    """Return the row of a nominal coverage, None where it was not measured."""
    return coverage.get(key(level))


def key(level: float) -> str:
    """Return the key of a nominal coverage."""
    return f"{level:g}"


class BarSeconds(DocumentPart):
    """Wall time per sample of a prediction, and of the error bars that come with it."""

    prediction: Number
    bars: Number


class Calibration(Document):
    """How a model was quantified.

    Attributes
    ----------
    dataset
        ``NAME@VERSION``.
    made
        How the error bars were made, in a sentence or two.
    seconds
        Of a prediction and of its error bars, per sample, by the clock on the wall; None where that was not measured.
    samples
        Used, by split.
    ranking
        How well estimated errors rank the true ones; see `ritz.compute.uncertainty.ranking.ranking`.
    shifted
        What the error bars were worth on other laws, by their names.
    """

    dataset: str
    made: str = ""
    seconds: BarSeconds | None = None
    samples: Mapping[str, int]
    coverage: Coverage
    ranking: Mapping[str, Number | None] = {}
    shifted: Mapping[str, Shifted] = {}
