"""What was measured of a model on the test split."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from ritz.compute.document import Document, Number, Part


class ErrorSummary(Part):
    """An error over the test samples: mean, median, 95th percentile and the worst."""

    mean: Number
    median: Number
    p95: Number
    max: Number


class Metrics(Part):
    """Errors by the name of their metric; `relative_l2` is always among them, and a metric may have several parts."""

    __pydantic_extra__: dict[str, ErrorSummary | Mapping[str, ErrorSummary]] = Field(init=False)

    relative_l2: ErrorSummary


class Evaluation(Document):
    """What a model and the baselines came to on the test split of a dataset.

    Attributes
    ----------
    dataset
        ``NAME@VERSION``.
    samples
        Of the test split.
    baseline_samples
        Training samples that the baselines were fitted to.
    relative_l2
        Of every test sample, for the report.
    unfit
        Metrics that were asked for and are none for these fields, and why.
    """

    dataset: str
    samples: int
    metrics: Metrics
    baselines: Mapping[str, Metrics]
    baseline_samples: int
    relative_l2: tuple[Number, ...] = ()
    unfit: Mapping[str, str] = Field(default_factory=dict)
