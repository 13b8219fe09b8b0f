"""What an evaluation came to, in a table and some lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ritz.tasks.documents.cost import BreakEven
from ritz.tasks.documents.evaluation import ErrorSummary, Evaluation, TruthErrors
from ritz.tasks.views.measures import measures, unfit

SHOWN = 5
"""Of so many worst samples the ids are printed."""


def rows(found: Evaluation) -> list[dict[str, str]]:
    """Return the errors of the model and the relative L2 errors of the baselines, a row each, to three digits."""
    own = [_row(title, error.document()) for title, error in _errors(found)]
    return own + [
        _row(f"baseline {name}, relative L2", one.relative_l2.document()) for name, one in found.baselines.items()
    ]


def lines(found: Evaluation, even: BreakEven | None) -> list[str]:
    """Return sentences on the worst samples, the truth itself, metrics that do not fit, and the cost."""
    worst = ", ".join(f"{sample.id} ({sample.relative_l2:.3g})" for sample in found.worst[:SHOWN])
    said = [f"{found.samples} test samples of {found.dataset}; the worst by id: {worst}"]
    said += [] if found.truth is None else list(_truth(found.truth))
    said += unfit(found.unfit)
    if even is not None:
        said.append(even.sentence if even.sentence is not None else f"no break-even, {even.reason}")
    return said


def _errors(found: Evaluation) -> Iterator[tuple[str, ErrorSummary]]:
    for title, row in measures(found.metrics.document()):
        yield title, ErrorSummary.model_validate(row)


def _row(title: str, error: Mapping[str, float]) -> dict[str, str]:
    heads = {"mean": "mean", "median": "median", "p95": "95th pct.", "max": "worst"}
    return {"error": title} | {head: f"{error[name]:.3g}" for name, head in heads.items()}


def _truth(errors: TruthErrors) -> Iterator[str]:
    titles = {
        "from the truth to a grid twice as fine": errors.discretisation,
        "from the stored truth to its exact solution": errors.labels,
    }
    for title, error in titles.items():
        yield (
            f"relative L2 {title}: mean {error.mean:.2g}, worst {error.max:.2g} of {error.samples} samples"
            if error.mean is not None and error.max is not None
            else f"relative L2 {title}: not known; {error.reason}"
        )
