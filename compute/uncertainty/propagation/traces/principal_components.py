from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PrincipalComponents:
    """The leading principal components of traces.

    Attributes
    ----------
    mean
        ``(d,)``.
    directions
        ``(k, d)``, orthonormal, of falling variance; the entry of the largest size is positive.
    scores
        ``(n, k)``, coordinates of the traces less the mean.
    """

    mean: np.ndarray
    directions: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, traces: np.ndarray, components: int) -> PrincipalComponents:
        """Find the components of traces ``(n, d)``.

        Raises
        ------
        ValueError
            A value is not finite, the array has another shape, or so many components cannot be told.
        """
        if traces.ndim != 2 or not traces.size:
            raise ValueError(f"traces has shape {traces.shape}, expected (n, d): one trace per sample")
        lost = int(np.sum(~np.isfinite(traces)))
        if lost:
            raise ValueError(f"traces has {lost} of {traces.size} values that are not finite, expected finite numbers")
        if reason := cls.unfit(len(traces), traces.shape[1], components):
            raise ValueError(reason)
        values = np.asarray(traces, np.float64)
        mean = values.mean(axis=0)
        _, _, directions = np.linalg.svd(values - mean, full_matrices=False)
        kept = directions[:components]
        largest = np.take_along_axis(kept, np.argmax(np.abs(kept), axis=1)[:, None], axis=1)
        kept = kept * np.sign(largest)
        return cls(mean, kept, (values - mean) @ kept.T)

    @staticmethod
    def unfit(count: int, width: int, components: int) -> str:
        """Return why so many traces of so many points have no such components; empty where they have."""
        if count <= components:
            return f"there are {count} traces, expected more than components = {components}"
        if width < components:
            return f"traces has {width} points, expected components = {components} or more"
        return ""

    @property
    def deviations(self) -> np.ndarray:
        """Standard deviations of the scores, ``(k,)``."""
        deviations: np.ndarray = self.scores.std(axis=0, ddof=1)
        return deviations

    def trace(self, scores: np.ndarray) -> np.ndarray:
        """Return the trace ``(d,)`` that has the scores ``(k,)``."""
        trace: np.ndarray = self.mean + scores @ self.directions
        return trace
