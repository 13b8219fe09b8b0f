"""What decides which arm answers the next system, from what was seen of all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from ritz.compute.kind import Kind, OneOf, Source
from ritz.compute.solvers.learning.statistics import Statistics

LEARNING_TO_RELAX = Source(
    "M. Khodak, E. Chow, M.-F. Balcan, A. Talwalkar",
    "Learning to Relax: Setting Solver Parameters Across a Sequence of Linear System Instances",
    2024,
    "ICLR, arXiv 2310.02246",
    claim="a bandit does about as well as the best fixed relaxation of SOR, and one with a context as well as the best "
    "for each system",
    measured="benchmarks/tuned.txt",
)


class Play(NamedTuple):
    """An arm and the probability with which a policy plays it now."""

    arm: int
    probability: float


class Policy(Kind, ABC):
    """Which of several arms answers a system."""

    kind: str

    @property
    def contextual(self) -> bool:
        """Whether it looks at what the system is like."""
        return False

    @abstractmethod
    def play(self, seen: Statistics, x: np.ndarray, turn: int) -> Play:
        """Return the arm that answers the next system.

        Parameters
        ----------
        seen
            Of the systems so far.
        x
            ``(p,)`` terms of the next one.
        turn
            Number of the sequence, at least 0: sequences that begin with the same sums do not do the same.
        """


class UpperBound(Policy):
    """Plays the arm whose work may be least: the mean of its log work less a bound of what is not known of it.

    The mean is a linear regression on the terms of a system: on 1 alone, or with ``context`` on a quadratic in the
    systems' features. Regressions begin at the mean over all arms. The bound is ``optimism √(2 log t) s √(xᵀ V⁻¹ x)``
    after ``t`` systems, with the deviation ``s`` of what all regressions leave over and ``V`` the sum of ``x xᵀ`` of
    the arm. Arms that were never played come first, in an order that begins elsewhere in each sequence.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "P. Auer, N. Cesa-Bianchi, P. Fischer",
            "Finite-time analysis of the multiarmed bandit problem",
            2002,
            "Machine Learning 47",
        ),
        LEARNING_TO_RELAX,
    )

    kind: Literal["upper_bound"] = "upper_bound"
    context: bool = False
    """Whether the work depends on the systems' features (`ritz.compute.solvers.learning.features`)."""
    optimism: float = Field(default=0.5, ge=0, le=10)
    """Factor of the bound; 0 plays what seems best."""

    @property
    def contextual(self) -> bool:
        """Whether it looks at what the system is like; see `Policy.contextual`."""
        return self.context

    def play(self, seen: Statistics, x: np.ndarray, turn: int) -> Play:
        """Return the arm with the least bound; see `Policy.play`."""
        arms, terms = seen.xy.shape
        new = np.flatnonzero(seen.count == 0)
        if len(new):
            order = (new - turn * _STRIDE) % arms
            return Play(int(new[np.argmin(order)]), 1.0)
        total = seen.total
        origin = np.r_[seen.xy[:, 0].sum() / total, np.zeros(terms - 1)]
        held = seen.xx + _HELD * np.eye(terms)
        inverse = np.linalg.inv(held)
        slopes = np.einsum("apq,aq->ap", inverse, seen.xy - seen.xx @ origin)
        left = (
            seen.yy
            - 2 * seen.xy @ origin
            + np.einsum("p,apq,q->a", origin, seen.xx, origin)
            - np.einsum("ap,ap->a", slopes, seen.xy - seen.xx @ origin)
        )
        freedom = max(total - arms * terms, 1.0)
        deviation = max(np.sqrt(max(float(left.sum()), 0.0) / freedom), _LEAST)
        reach = np.sqrt(2 * np.log(total) * np.einsum("p,apq,q->a", x, inverse, x))
        bound = (origin + slopes) @ x - self.optimism * deviation * reach
        return Play(int(np.argmin(bound)), 1.0)


_HELD = 0.1
"""Of a system, what a regression is held to its origin by."""

_LEAST = 0.01
"""Least deviation of log work: iterations are whole numbers."""

_STRIDE = 5
"""Arms by which a sequence begins after the one before."""


class TsallisInf(Policy):
    """Draws an arm by follow-the-regularised-leader with the Tsallis entropy of order ½, at a rate of ``2/√t``.

    The work may be chosen by an adversary, and nothing is known of its distribution; no context is looked at. Losses
    are importance-weighted, ``w / (w + w̄)`` of the work ``w`` and its mean so far.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "J. Zimmert, Y. Seldin",
            "Tsallis-INF: an optimal algorithm for stochastic and adversarial bandits",
            2021,
            "JMLR 22",
        ),
        LEARNING_TO_RELAX,
    )

    kind: Literal["tsallis_inf"] = "tsallis_inf"
    seed: int = Field(default=0, ge=0)
    """Of the draws."""

    def play(self, seen: Statistics, x: np.ndarray, turn: int) -> Play:
        """Return an arm that was drawn; see `Policy.play`."""
        del x
        weights = _tsallis(seen.loss, 2 / np.sqrt(seen.total + 1))
        rng = np.random.default_rng([self.seed, turn, int(seen.total)])
        arm = int(rng.choice(len(weights), p=weights))
        return Play(arm, float(weights[arm]))


def _tsallis(loss: np.ndarray, rate: float) -> np.ndarray:
    """Return the weights ``4 / (rate (loss − z))²`` with the ``z`` for which they add up to 1, by Newton's method."""
    z = float(loss.min()) - 2 / rate
    for _ in range(100):
        weights = 4 / (rate * (loss - z)) ** 2
        step = (float(weights.sum()) - 1) / (rate * float((weights**1.5).sum()))
        z -= step
        if abs(step) * rate <= 1e-12:
            break
    weights = 4 / (rate * (loss - z)) ** 2
    return np.asarray(weights / weights.sum())


AnyPolicy = Annotated[Policy, OneOf(Policy, lambda: (UpperBound, TsallisInf), group="ritz.policies", short=True)]
"""Field type: a shipped policy, or an instance of one's own class."""
