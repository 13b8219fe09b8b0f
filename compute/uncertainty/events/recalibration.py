"""Probabilities of an event, set right again by the outcomes that arrive."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Self, TypeVar, final

import numpy as np

from ritz.compute.kind import Kind

FARTHEST = 7.0
"""Logits are held within ± this: a probability of 0 or 1 by a few draws is not certain to more than 0.001."""


class Recalibrator(ABC):
    """What maps raw probabilities to better ones, as far as it has learnt; never changed in place."""

    @abstractmethod
    def mapped(self, logits: np.ndarray) -> np.ndarray:
        """Return probabilities ``(n,)`` float64 for the logits ``(n,)`` of raw ones."""

    @abstractmethod
    def after(self, logit: float, outcome: float) -> Self:
        """Return what it is after one more outcome, 0 or 1."""

    @final
    def probability(self, raw: np.ndarray) -> np.ndarray:
        """Return better probabilities.

        Parameters
        ----------
        raw
            ``(n,)`` probabilities that a model gives the event.

        Returns
        -------
        numpy.ndarray
            ``(n,)`` float64.

        Raises
        ------
        ValueError
            A probability is not within 0 and 1.
        """
        return self.mapped(_logits(raw))

    @final
    def learnt(self, raw: np.ndarray, outcomes: np.ndarray) -> Self:
        """Return what it is when outcomes have arrived, one after the other.

        Parameters
        ----------
        raw
            ``(n,)`` raw probabilities of these samples.
        outcomes
            ``(n,)`` whether the event took place, bool or 0 and 1.

        Raises
        ------
        ValueError
            A probability is not within 0 and 1, an outcome is neither, or there are not as many of both.
        """
        return _after(self, _logits(raw), _outcomes(outcomes, len(raw)))


class Recalibration(Kind, ABC):
    """How the probabilities of an event are set right, from the outcomes seen so far."""

    kind: str

    @abstractmethod
    def begin(self) -> Recalibrator:
        """Return a recalibrator that has seen no outcome."""

    @final
    def stream(self, raw: np.ndarray, outcomes: np.ndarray, block: int = 1) -> np.ndarray:
        """Return the probabilities of a stream, each from the outcomes before it alone.

        Parameters
        ----------
        raw, outcomes
            ``(n,)`` in the order of arrival; see `Recalibrator.learnt`.
        block
            Outcomes arrive so many at a time, after their probabilities are given.

        Returns
        -------
        numpy.ndarray
            ``(n,)`` float64.

        Raises
        ------
        ValueError
            As for `Recalibrator.learnt`, or ``block`` is not positive.
        """
        if block < 1:
            raise ValueError(f"block is {block}, expected 1 or more")
        logits, happened = _logits(raw), _outcomes(outcomes, len(raw))
        now, found = self.begin(), np.empty(len(raw))
        for start in range(0, len(raw), block):
            part = slice(start, start + block)
            found[part] = now.mapped(logits[part])
            now = _after(now, logits[part], happened[part])
        return found


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of logits, held as far from 0 and 1 as raw ones are."""
    held: np.ndarray = 1 / (1 + np.exp(-np.clip(logits, -FARTHEST, FARTHEST)))
    return held


def chance(logit: float) -> float:
    """Return `sigmoid` of one logit, in a tenth of the time."""
    return 1 / (1 + math.exp(-min(max(logit, -FARTHEST), FARTHEST)))


R = TypeVar("R", bound=Recalibrator)


def _after(now: R, logits: np.ndarray, outcomes: np.ndarray) -> R:
    for logit, outcome in zip(logits.tolist(), outcomes.tolist(), strict=True):
        now = now.after(logit, outcome)
    return now


def _logits(raw: np.ndarray) -> np.ndarray:
    values = np.asarray(raw, np.float64)
    if values.ndim != 1:
        raise ValueError(f"raw has shape {values.shape}, expected (n,): one probability per sample")
    wrong = int(np.sum(~((values >= 0) & (values <= 1))))
    if wrong:
        raise ValueError(f"raw has {wrong} of {len(values)} values outside 0 to 1, expected probabilities")
    with np.errstate(divide="ignore"):
        logits: np.ndarray = np.clip(np.log(values) - np.log1p(-values), -FARTHEST, FARTHEST)
    return logits


def _outcomes(outcomes: np.ndarray, count: int) -> np.ndarray:
    values = np.asarray(outcomes, np.float64)
    if values.shape != (count,):
        raise ValueError(f"outcomes has shape {values.shape}, expected ({count},): one per raw probability")
    wrong = int(np.sum((values != 0) & (values != 1)))
    if wrong:
        raise ValueError(f"outcomes has {wrong} of {count} values that are neither 0 nor 1")
    return values
