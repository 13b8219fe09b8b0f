"""An answer about a population, in two tables and some lines."""

from __future__ import annotations

from ritz.tasks.documents.propagation import AnswerRow, PropagationRecord, RungRow
from ritz.tasks.parsing.asked_law import law_text


def answers(found: PropagationRecord) -> list[dict[str, str]]:
    """Return the answers, a row for each quantity."""
    return [
        {
            "quantity": row.quantity,
            "question": row.question,
            "answer": f"{row.value:.6g}",
            f"interval of {found.level:.0%}": f"{row.low:.6g} to {row.high:.6g}",
            "samples": f"{row.samples:,}",
            "solves of the truth": f"{row.solved:,}",
        }
        for row in found.answers
    ]


def rungs(found: PropagationRecord) -> list[dict[str, str]]:
    """Return what the pilot found of the rungs, a row each; of several quantities the one that is followed worst."""
    price = found.rungs[0].seconds
    return [
        {
            "rung": row.name,
            "ms per sample": f"{1e3 * row.seconds:.3g}",
            "ρ² to the truth": _correlation(row),
            "mean, off by": _bias(row),
            "samples": f"{row.samples:,}" if row.samples else _why_not(row, price),
        }
        for row in found.rungs
    ]


def lines(found: PropagationRecord) -> list[str]:
    """Return sentences on what was chosen and what it cost."""
    spent = sum(found.seconds.values())
    said = [f"law: {law_text(found.law)}"] if found.law else []
    if found.rows is not None:
        said.append(
            f"the population is the law of these {found.rows:,} rows: the intervals say nothing of how well the rows "
            "stand for another law"
        )
    taken = " and ".join(found.chosen)
    if len(found.chosen) == 1:
        taken += " alone, since no rung pays" if len(found.rungs) > 1 else " alone"
    points = f", on quasi-random points of {found.quasi_random} coordinates" if found.quasi_random else ""
    said.append(f"taken: {taken}{points}; pilot {found.pilot_seconds:.2g} s, estimate {spent:.2g} s of all workers")
    said += [text for row in found.answers if (text := _plain(row, spent, len(found.answers)))]
    if not found.reached:
        said.append("the intervals are wider than asked for: as many samples as may be were not enough")
    said += [f"no rung {name!r}: {reason}" for name, reason in found.left_out.items()]
    return said


def _plain(row: AnswerRow, spent: float, count: int) -> str:
    """Return what plain Monte Carlo would take, of a mean or a deviation; what was not solved, of a probability."""
    of = f" of {row.quantity}" if count > 1 else ""
    if row.question in ("mean", "standard deviation") and row.plain_seconds is not None:
        return (
            f"plain Monte Carlo takes {row.plain_seconds:.2g} s for an interval as narrow{of}, this took {spent:.2g} s"
        )
    if row.question.startswith("above") and row.solved < row.samples:
        saved = 1 - row.solved / row.samples
        return f"{saved:.0%} of the samples{of} were judged without a solve: they are far from the threshold"
    return ""


def _correlation(row: RungRow) -> str:
    if row.rho2 is None:
        return "1"
    value, low, high = min(row.rho2)
    return f"{_digits(value)} [{_digits(low)}, {_digits(high)}]"


def _digits(rho2: float) -> str:
    """Return a squared correlation with as many nines as it has.

    Examples
    --------
    >>> _digits(0.81234), _digits(0.99987)
    ('0.812', '0.9999')
    """
    for places in range(3, 9):
        if round(rho2, places) < 1:
            return f"{rho2:.{places}f}"
    return "1"


def _bias(row: RungRow) -> str:
    known = [one for one in row.bias or () if one is not None]
    return f"{max(known, key=abs):+.2%}" if known else "-"


def _why_not(row: RungRow, price: float) -> str:
    if row.seconds >= price:
        return f"none: it costs {row.seconds / price:.3g} solves"
    return "none"
