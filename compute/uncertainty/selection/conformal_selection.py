from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Kind, Source, in_units
from ritz.compute.uncertainty.selection.multiple_tests import discoveries


@dataclass(frozen=True)
class Selected:
    """Which candidates were selected.

    Attributes
    ----------
    chosen
        ``(k,)`` bool.
    p
        ``(k,)`` conformal p-values, small where the quantity is likely to pass.
    """

    chosen: np.ndarray
    p: np.ndarray

    @property
    def positions(self) -> np.ndarray:
        """Positions of those selected, ``(count,)`` int64, the smallest p-value first."""
        order = np.argsort(self.p, kind="stable")
        positions: np.ndarray = order[self.chosen[order]]
        return positions


class ConformalSelection(Kind):
    """Selects the candidates whose unknown quantity passes a threshold, at most a share of them wrongly.

    The quantity of every candidate was predicted, that of some calibration samples was predicted and solved. The
    p-value of a candidate is the share of the calibration samples that fail the threshold with a prediction at least as
    good as its own, the candidate counted among them; the procedure of Benjamini and Hochberg then selects. Whatever
    the model, the expected share of candidates selected wrongly among those selected, the false discovery rate, is at
    most the level, if candidates and calibration samples are drawn from the same law, and neither the model nor the
    threshold was chosen by either. A bad model selects few. `best` chooses among models, on samples of its own: where
    the calibration samples choose, the level is not kept.

    Examples
    --------
    Candidates whose largest value is above 0.4, by a model's predictions; `best` of several models is their name:

    >>> import numpy as np
    >>> import ritz
    >>> model = ritz.load_model("small@v1", store="ritz-store")
    >>> data = ritz.open_dataset("small@v1", store="ritz-store")
    >>> solved = data.isel(sample=data["split"] == "calibrate")
    >>> def largest(fields):
    ...     return fields["u"].max(axis=(1, 2))
    >>> rule = ConformalSelection(threshold=0.4, level=0.3)
    >>> candidates = data.isel(sample=data["split"] == "test")
    >>> found = rule.select(
    ...     largest(model.predict(candidates)), largest(model.predict(solved)), largest({"u": solved["u"].values})
    ... )
    >>> found.chosen.shape
    (6,)
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Jin and Candès",
            "Selection by prediction with conformal p-values",
            2023,
            "Journal of Machine Learning Research 24",
            "the false discovery rate is at most the level, in finite samples and for any model",
            "selection.txt",
        ),
        Source(
            "Bai and Jin",
            "Optimized conformal selection: powerful selective inference after conformity score optimization",
            2024,
            "arXiv:2411.17983",
            "a model chosen by the calibration samples breaks the level, one chosen on samples of its own keeps it",
            "selection.txt",
        ),
    )

    kind: Literal["conformal_selection"] = "conformal_selection"
    threshold: float = Field(json_schema_extra=in_units("units of the quantity"))
    """What the quantity has to pass, in its unit."""
    side: Literal["above", "below"] = "above"
    """Whether a quantity passes that is above the threshold or one that is below it; one that is equal fails."""
    level: float = Field(default=0.1, gt=0, lt=1, json_schema_extra=in_units("share of those selected"))
    """Largest false discovery rate: the expected share of those that fail among the selected ones."""

    def passes(self, quantity: np.ndarray) -> np.ndarray:
        """Return which quantities ``(n,)`` pass the threshold, bool."""
        passed: np.ndarray = quantity > self.threshold if self.side == "above" else quantity < self.threshold
        return passed

    def select(self, candidates: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> Selected:
        """Select candidates.

        Parameters
        ----------
        candidates
            ``(k,)`` predicted quantities of the candidates.
        predicted, true
            ``(n,)`` predicted and true quantities of the calibration samples.

        Raises
        ------
        ValueError
            A quantity is not finite or no row of numbers, or there are fewer calibration samples than can ever select.
        """
        _check(candidates=candidates, predicted=predicted, true=true)
        _same(predicted, true)
        least = math.ceil(1 / self.level - 1 - 1e-9)
        if len(true) < least:
            raise ValueError(
                f"there are {len(true)} calibration samples, expected {least} or more: with fewer no p-value is as "
                f"small as the level {self.level:g}"
            )
        failed = np.sort(self._good(predicted[~self.passes(true)]))
        above = len(failed) - np.searchsorted(failed, self._good(candidates), side="left")
        p = (1 + above) / (1 + len(true))
        return Selected(discoveries(p, self.level), p)

    def best(self, predicted: Mapping[str, np.ndarray], true: np.ndarray) -> str:
        """Return the model that ranks best what passes above what fails, by samples of its own.

        The measure is the area under the receiver operating characteristic; of several such models the first is taken.

        Parameters
        ----------
        predicted
            ``(m,)`` predicted quantities by the name of the model.
        true
            ``(m,)`` true quantities. None of these samples may be used to select.

        Raises
        ------
        ValueError
            There is no model, a quantity is not finite or no row of numbers, or all samples pass or all fail.
        """
        if not predicted:
            raise ValueError("predicted names no model, expected one or more")
        _check(true=true)
        passed = self.passes(true)
        if passed.all() or not passed.any():
            raise ValueError(
                f"{passed.sum()} of {len(true)} quantities are {self.side} the threshold {self.threshold:g}, expected "
                "some that are and some that are not"
            )

        def area(name: str) -> float:
            _check(**{f"predicted[{name!r}]": predicted[name]})
            _same(predicted[name], true)
            good = self._good(predicted[name])
            failed = np.sort(good[~passed])
            # A tie counts half.
            sides = [np.searchsorted(failed, good[passed], side) for side in ("left", "right")]
            return float(np.mean(sides))

        return max(predicted, key=area)

    def _good(self, quantity: np.ndarray) -> np.ndarray:
        """Return the quantity with a sign such that the larger is the better."""
        values = np.asarray(quantity, np.float64)
        return values if self.side == "above" else -values


def _check(**quantities: np.ndarray) -> None:
    for name, values in quantities.items():
        if np.ndim(values) != 1:
            raise ValueError(f"{name} has shape {np.shape(values)}, expected (n,): one number per sample")
        lost = int(np.sum(~np.isfinite(values)))
        if lost:
            raise ValueError(f"{name} has {lost} of {len(values)} values that are not finite, expected finite numbers")


def _same(predicted: np.ndarray, true: np.ndarray) -> None:
    if len(predicted) != len(true):
        raise ValueError(f"there are {len(predicted)} predicted and {len(true)} true quantities, expected as many")
