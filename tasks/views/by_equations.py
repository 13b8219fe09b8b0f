"""What an audit by the equations of a problem came to."""

from __future__ import annotations

from ritz.compute.document import Number
from ritz.tasks.auditing.equations_record import Distribution, EquationAudit


def rows(record: EquationAudit) -> list[dict[str, str]]:
    """Return residuals and estimated errors, a row each."""
    parts = {"relative residual": record.residual}
    if record.error is not None:
        parts["estimated relative L2 error"] = record.error
    return [{"by the equations": name, **_row(part)} for name, part in parts.items()]


def outliers(record: EquationAudit) -> list[dict[str, str]]:
    """Return the samples that stand out, the worst first; none where none does."""
    return [
        {
            "stands out": f"sample {one.sample}",
            "residual": _shown(one.residual),
            "error": _shown(one.error),
            **{f"score of {name}": _shown(value) for name, value in one.scores.items()},
        }
        for one in record.outliers
    ]


def lines(record: EquationAudit) -> list[str]:
    """Return what is said below the tables; the verdict comes last."""
    without = [f"no error was estimated: {record.no_error}"] if record.error is None else []
    looked = f"{record.samples} of {record.of} good samples of {record.dataset}@{record.version}, by problem "
    fields = {name: value for name, value in record.problem.items() if name in ("kind", "shape", "points", "steps")}
    return [f"{looked}{fields}", *record.remarks, *without, record.sentence]


def _row(part: Distribution) -> dict[str, str]:
    return {"median": _shown(part.median), "95th pct.": _shown(part.p95), "worst": _shown(part.max)}


def _shown(value: Number | None) -> str:
    return "-" if value is None else f"{value:.3g}"
