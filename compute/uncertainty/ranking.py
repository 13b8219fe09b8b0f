"""How well estimated errors rank the true ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy

from ritz.compute.evaluation.measured import Measured

DRAWN = 64
"""Points of each sample for the rank correlation of points, at most."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of estimated and true errors of some samples.

    Attributes
    ----------
    samples
        ``(n, 2)`` root mean squares of the estimate and of the error; NaN or infinity for a sample without an estimate.
    points
        ``(n, DRAWN, 2)`` float32, both at points that were drawn, of all outputs together.
    """

    samples: np.ndarray
    points: np.ndarray

    @classmethod
    def of(
        cls,
        estimate: Mapping[str, np.ndarray],
        error: Mapping[str, np.ndarray],
        places: np.ndarray | None = None,
    ) -> Self:
        """Measure absolute errors by output, ``(n, *dims)``.

        Parameters
        ----------
        places
            ``(n,)`` numbers of the samples, by which their points are drawn, so that it is of no matter which are
            measured together; by default from 0 on.
        """
        flat = np.stack(
            [
                np.concatenate([one[name].reshape(len(one[name]), -1) for name in error], axis=1, dtype=np.float64)
                for one in (estimate, error)
            ],
            axis=2,
        )
        n, points, _ = flat.shape
        numbers = range(n) if places is None else places.tolist()
        draws = [np.random.default_rng(number).integers(0, points, min(DRAWN, points)) for number in numbers]
        drawn = np.array(draws, np.int64).reshape(n, -1)
        return cls(
            np.sqrt(np.mean(flat**2, axis=1)), np.take_along_axis(flat, drawn[:, :, None], axis=1).astype(np.float32)
        )

    def rows(self) -> dict[str, np.ndarray]:
        """Return it as rows of a `Measured`."""
        return {"sizes": self.samples, "sizes at points": self.points}

    @classmethod
    def of_rows(cls, measured: Measured) -> Self:
        """Read what `rows` returned."""
        return cls(measured.rows["sizes"], measured.rows["sizes at points"])

    def ranking(self) -> dict[str, float]:
        """Return how well the sizes of estimated errors rank those of the true ones; NaN where all are alike.

        Returns
        -------
        dict
            ``spearman_point`` and ``spearman_sample``, rank correlations at points and of the root mean squares of
            samples; ``ause``, the area between the sparsification curves of the estimate and of the error itself: by
            how much the mean error of the samples that are kept is above the least possible, as those of the largest
            estimates are left out one by one, over the mean error of all. 0 is best.

        References
        ----------
        E. Ilg et al., "Uncertainty estimates and multi-hypotheses networks for optical flow", ECCV 2018, for the area.
        """
        known = np.isfinite(self.samples).all(axis=1)
        guessed, true = self.samples[known].T
        if len(true) < 2:
            return dict.fromkeys(("spearman_point", "spearman_sample", "ause"), float("nan"))
        return {
            "spearman_point": _correlation(*self.points[known].reshape(-1, 2).T),
            "spearman_sample": _correlation(guessed, true),
            "ause": _area(guessed, true),
        }


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    if not np.ptp(one) or not np.ptp(other):
        return float("nan")
    return float(scipy.stats.spearmanr(one, other).statistic)


def _area(estimate: np.ndarray, error: np.ndarray) -> float:
    """Return the area between the curves of the mean error of what is kept."""

    def kept(order: np.ndarray) -> np.ndarray:
        means: np.ndarray = np.cumsum(error[order]) / np.arange(1, len(error) + 1)
        return means

    if not error.any():
        return 0.0
    # Samples of equal estimates are left out in their order.
    curves = [kept(np.argsort(by, kind="stable")) for by in (estimate, error)]
    return float(np.mean(curves[0] - curves[1]) / error.mean())
