"""What error bars came to, in a table and some lines."""

from __future__ import annotations

from ritz.tasks.documents.calibration import Calibration, CoverageRow, at


def rows(found: Calibration) -> list[dict[str, str]]:
    """Return what was promised and measured at each nominal coverage, a row each."""
    return [_row(row) for row in found.coverage.values()]


def lines(found: Calibration) -> list[str]:
    """Return sentences on the samples, how the bars were made, how their estimates rank errors, and other laws."""
    counts = ", ".join(f"{count} of the split {split!r}" for split, count in found.samples.items())
    said = [f"{found.dataset}: {counts}; intervals of 95 % count samples, not points"]
    said += [found.made] if found.made else []
    said += [
        f"coverage of {row.nominal:.0%} bands by time: {text}" for row in _main(found) if (text := row.over_time())
    ]
    ranks = found.ranking
    if ranks and ranks.get("spearman_point") is not None and ranks.get("spearman_sample") is not None:
        said.append(
            f"rank correlation of estimated and true error: {ranks['spearman_point']:.3f} at points, "
            f"{ranks['spearman_sample']:.3f} over samples"
        )
    for law, shifted in found.shifted.items():
        for level, drop in shifted.drop.items():
            said.append(
                f"on {law!r} the coverage of {float(level):.0%} bands drops by percentage points: {drop.text()}"
            )
    return said


def _main(found: Calibration) -> list[CoverageRow]:
    """Return the row at 90 %, or at the highest level; none without levels."""
    rows = list(found.coverage.values())
    return [row] if (row := at(found.coverage, 0.9)) else rows[-1:]


def _row(row: CoverageRow) -> dict[str, str]:
    expected = "-" if row.expected is None else f"{100 * row.expected[0]:.1f} to {100 * row.expected[1]:.1f} %"
    return {
        "nominal": f"{row.nominal:.0%}",
        "expected": expected,
        "points inside": row.text(),
        "whole fields inside": "-" if row.fields is None else row.fields.text(),
        "mean width": f"{row.width:.3g}",
    }
