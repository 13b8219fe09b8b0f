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


def measures(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the errors of a document's metrics with their titles, a metric with parts once for each of them."""
    named = titles()
    rows: list[tuple[str, Mapping[str, Any]]] = []
    for kind, found in metrics.items():
        title = named.get(kind, kind)
        if found:
            parts = {"": found} if "mean" in found else found
            rows += [(part_of(title, kind, part), row) for part, row in parts.items()]
    return rows


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
