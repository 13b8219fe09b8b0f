"""Errors of predictions by the equations, beside those that were measured on test samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ritz.compute.uncertainty.predicted import Assessment
from ritz.tasks.documents.evaluation import Evaluation

TIMES = 3
"""An estimated error is far beyond the measured ones if it is more than so many times the largest of them."""


@dataclass(frozen=True)
class Estimated:
    """What the equations tell of the errors of predictions.

    Of the law that a model was tested on a share of 1/(n + 1) of the predictions has a larger error than each of n test
    samples. Errors of three times the largest are rarer still: by a factor of nine even where the tail of the errors is
    so heavy that they have no variance. No rate is guaranteed. What lies beyond was not met in the test, whatever the
    input looks like. Of a model with several outputs the estimate is that of all together, and the measured error the
    mean of theirs.

    Attributes
    ----------
    assessment
        Estimates by the bands of the model.
    largest
        Largest relative L2 error of a test sample; None where none was measured.
    tested
        The test samples, in words.
    """

    assessment: Assessment
    largest: float | None
    tested: str

    @classmethod
    def of(cls, assessment: Assessment | None, evaluation: Evaluation | None) -> Estimated | None:
        """Set estimates beside the errors of an evaluation; None without an estimate."""
        if assessment is None:
            return None
        if evaluation is None:
            return cls(assessment, None, "")
        tested = f"{evaluation.samples} test samples of {evaluation.dataset}"
        return cls(assessment, float(evaluation.metrics.relative_l2.max), tested)

    @property
    def error(self) -> np.ndarray:
        """Estimated relative L2 errors, ``(n,)``; NaN where there is none."""
        return self.assessment.estimate

    @property
    def doubtful(self) -> np.ndarray:
        """Samples whose estimate cannot be relied on, ``(n,)`` bool."""
        return self.assessment.doubtful

    @property
    def far(self) -> np.ndarray:
        """Samples whose estimate is far beyond the measured errors, ``(n,)`` bool; none where none were measured."""
        found: np.ndarray = self.error > (np.inf if self.largest is None else TIMES * self.largest)
        return found

    def limit_text(self) -> str:
        """Return in words what `far` is beyond."""
        return f"{TIMES} times the largest error of {self.tested}, {self.largest:.3g}"

    def summary(self) -> tuple[float, float] | None:
        """Return the median and the largest of the estimates, None where there is none."""
        known = self.error[np.isfinite(self.error)]
        return (float(np.median(known)), float(known.max())) if len(known) else None
