"""What an audit by the equations of a problem is reported as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ritz.compute.document import Document, DocumentPart, Json, Number


class Distribution(DocumentPart):
    """Median, 95th percentile and largest of some numbers; None where there is no number."""

    median: Number | None
    p95: Number | None
    max: Number | None


class Outlier(DocumentPart):
    """A sample that stands out among the others.

    Attributes
    ----------
    residual, error
        See `ritz.compute.evaluation.agreement.Agreement`; None for what is no number.
    scores
        By how many spreads error, residual and its peak stand above the median ones; None where one is beyond any.
    """

    sample: int
    residual: Number | None
    error: Number | None
    scores: Mapping[str, Number | None]


class EquationAudit(Document):
    """How the samples of a version stand to the equations of a problem.

    Attributes
    ----------
    problem
        Whose equations these are.
    samples, of
        How many samples were looked at, and how many good ones there are.
    residual, error
        Relative residuals, and estimated relative L2 errors; None where the problem has no step that estimates them,
        as ``no_error`` says.
    verdict
        What most samples are: ``"same"`` discrete equations, another ``"discretisation"``, or ``"other"`` equations.
    grid, grid_from
        The error that a discretisation on this grid makes, and what it was taken from.
    outliers
        Samples that stand out, the worst first.
    sentence
        The verdict in words.
    record
        Key of this record in the store; None where it could not be kept.
    """

    dataset: str
    version: str
    snapshot: str
    problem: Json
    samples: int
    of: int
    residual: Distribution
    error: Distribution | None
    no_error: str = ""
    verdict: Literal["same", "discretisation", "other"]
    grid: Number | None
    grid_from: str
    outliers: tuple[Outlier, ...]
    sentence: str
    remarks: tuple[str, ...] = ()
    created: str
    seconds: Number
    record: str | None = None

    @property
    def good(self) -> bool:
        """Whether the samples solve the problem, in some discretisation, and none stands out."""
        return self.verdict != "other" and not self.outliers
