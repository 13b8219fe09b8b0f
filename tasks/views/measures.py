"""Errors by the names that people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ritz.compute.evaluation.catalogue import METRICS


def titles() -> dict[str, str]:
    """Return what the metrics are called, by their kinds."""
    return {kind: getattr(cls, "title", "") or kind for kind, cls in METRICS.kinds().items()}


def part_of(title: str, kind: str, part: str) -> str:
    """Return what a part of a metric is called.

    Examples
    --------
    >>> part_of("flow through a wall, relative", "flux", "x_low"), part_of("relative L2", "relative_l2", "")
    ('flow through a wall, relative, x low', 'relative L2')
    >>> part_of("relative L2, wavenumbers", "spectral", "low")
    'relative L2, low wavenumbers'
    """
    if kind == "spectral":
        return f"relative L2, {part} wavenumbers"
    return f"{title}, {part.replace('_', ' ')}" if part else title


LARGE = "large is good"
"""What is said of a number that is no error."""


def measures(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the errors of a document's metrics with their titles, a metric with parts once for each of them.

    Of a number of which large is good the 5th percentile stands for the 95th, and the smallest for the largest: the
    number that 95 of 100 samples reach, and the worst. Its title says so.
    """
    named = titles()
    rows: list[tuple[str, Mapping[str, Any]]] = []
    for kind, found in metrics.items():
        title = named.get(kind, kind)
        if found:
            parts = {"": found} if isinstance(found.get("mean"), int | float) else found
            rows += [_bad_end(part_of(title, kind, part), row) for part, row in parts.items()]
    return rows


def _bad_end(title: str, row: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return a row whose last numbers are those of the worst samples."""
    if row.get("min") is None:
        return title, row
    return f"{title} ({LARGE}; 5th pct.)", {**row, "p95": row["p05"], "max": row["min"]}


def unfit(reasons: Mapping[str, str]) -> list[str]:
    """Return a sentence for each reason why metrics are none for the fields.

    Examples
    --------
    >>> unfit({"h1": "it needs a grid of even spacing"})
    ['No relative H1: it needs a grid of even spacing.']
    """
    named = titles()
    return [
        f"No {'; '.join(named.get(kind, kind) for kind, its in reasons.items() if its == reason)}: {reason}."
        for reason in dict.fromkeys(reasons.values())
    ]
