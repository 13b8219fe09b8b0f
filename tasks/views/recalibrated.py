"""What bands for another law came to, in a table and some lines."""

from __future__ import annotations

from ritz.tasks.documents.calibration import Coverage, CoverageRow
from ritz.tasks.documents.law_calibration import LawCalibration, OnLaw
from ritz.tasks.parsing.asked_law import law_text


def rows(found: LawCalibration) -> list[dict[str, str]]:
    """Return what bands hold of the law at each nominal coverage before and after, a row each."""
    before, after = (({} if one is None else one.coverage) for one in (found.before, found.after))
    return [_row(level, before, after) for level in dict.fromkeys((*before, *after))]


def lines(found: LawCalibration, model: str) -> list[str]:
    """Return sentences on the law, the coverages before and after, and where the bands are."""
    said = [f"law {found.law!r} ({law_text(found.changes)}): mean relative L2 error {found.relative_l2:.3g}"]
    fresh = f"calibrated again on {found.samples} fresh solves ({found.seconds:.2g} s)"
    held = "the model has no bands" if found.before is None else _held(found.before)
    now = f"not measured: {found.unmeasured}" if found.after is None else _held(found.after)
    said.append(f"{held} → {fresh}: {now}")
    if found.shaped:
        said.append(
            f"the law has other equations than the dataset: {found.shaped} of the solves gave the shape of the bands"
        )
    said += [found.made] if found.made else []
    said.append(
        f"beside the bands of the model, which stay as they are; `ritz predict {model} --bands {found.law}` takes these"
    )
    return said


def _held(found: OnLaw) -> str:
    """Return what bands hold at 90 %, or the highest level."""
    level = "0.9" if "0.9" in found.coverage else max(found.coverage, key=float)
    row = found.coverage[level]
    fields = "" if row.fields is None else f" and {row.fields.text()} of whole fields"
    return f"{row.text()} of the points{fields} in the {float(level):.0%} bands, on {found.samples} solves"


def _row(level: str, before: Coverage, after: Coverage) -> dict[str, str]:
    one, two = before.get(level), after.get(level)
    return {
        "nominal": f"{float(level):.0%}",
        "points before": _points(one),
        "after": _points(two),
        "whole fields before": _fields(one),
        "fields after": _fields(two),
        "mean width before": "-" if one is None else f"{one.width:.3g}",
        "width after": "-" if two is None else f"{two.width:.3g}",
    }


def _points(row: CoverageRow | None) -> str:
    return "-" if row is None else row.text()


def _fields(row: CoverageRow | None) -> str:
    return "-" if row is None or row.fields is None else row.fields.text()
