"""What decides which arm answers the next system, from what was seen of all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from ritz.compute.kind import Kind, OneOf, Source
from ritz.compute.solvers.tuning.statistics import Statistics

LEARNING_TO_RELAX = Source(
    "M. Khodak, E. Chow, M.-F. Balcan, A. Talwalkar",
    "Learning to Relax: Setting Solver Parameters Across a Sequence of Linear System Instances",
    2024,
    "ICLR, arXiv 2310.02246",
    claim="a bandit does about as well as the best fixed relaxation of SOR, and one with a context as well as the best "
    "for each system",
    measured="tuned.txt",
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
    systems' features. Regressions begin at that over all arms. The bound is ``optimism √(2 log t) s √(xᵀ V⁻¹ x)``
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
    """Whether the work depends on the systems' features (`ritz.compute.solvers.tuning.features`)."""
    optimism: float = Field(default=0.5, ge=0, le=10)
    """Factor of the bound; 0 plays what seems best."""

    @property
    def contextual(self) -> bool:
        """Whether it looks at what the system is like; see `Policy.contextual`."""
        return self.context

    def play(self, seen: Statistics, x: np.ndarray, turn: int) -> Play:
        """Return the arm with the least bound; see `Policy.play`."""
        new = np.flatnonzero(seen.count == 0)
        if len(new):
            arms = len(seen.count)
            first = int(turn * _GOLDEN % 1 * arms)
            return Play(int(new[np.argmin((new - first) % arms)]), 1.0)
        found = _regressed(seen)
        reach = np.sqrt(2 * np.log(seen.total) * np.einsum("p,apq,q->a", x, found.inverse, x))
        return Play(int(np.argmin(found.slopes @ x - self.optimism * found.deviation * reach)), 1.0)


class _Regressions(NamedTuple):
    """Linear regressions of log work on the terms.

    Attributes
    ----------
    slopes, inverse
        ``(m, p)`` and ``(m, p, p)``: of each arm, and the inverse of its ``V``.
    deviation
        Of what is left over, one for all arms.
    """

    slopes: np.ndarray
    inverse: np.ndarray
    deviation: float


def _regressed(seen: Statistics) -> _Regressions:
    """Return the regression of every arm, held to that over all arms by a tenth of a system."""
    arms, terms = seen.xy.shape
    of_all = seen.xx.sum(0) + _HELD * np.diag(np.arange(terms) > 0)
    origin = np.linalg.solve(of_all, seen.xy.sum(0))
    inverse = np.linalg.inv(seen.xx + _HELD * np.eye(terms))
    beyond = seen.xy - seen.xx @ origin
    change = np.einsum("apq,aq->ap", inverse, beyond)
    # Squares of what the origin leaves over, less what the changes explain.
    squares = seen.yy - (seen.xy + beyond) @ origin - np.einsum("ap,ap->a", change, beyond)
    freedom = max(seen.total - arms * terms, 1.0)
    deviation = float(np.sqrt(max(float(squares.sum()), 0.0) / freedom))
    return _Regressions(origin + change, inverse, max(deviation, _LEAST))


_HELD = 0.1
"""Of a system, what a regression is held by."""

_LEAST = 0.01
"""Least deviation of log work: iterations are whole numbers."""

_GOLDEN = (5**0.5 - 1) / 2
"""Share of the arms by which a sequence begins after the one before: no two of few begin alike."""


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

    def play(self, seen: Statistics, x: np.ndarray, turn: int) -> Play:
        """Return an arm that was drawn; see `Policy.play`."""
        del x
        weights = _tsallis(seen.loss, 2 / np.sqrt(seen.total + 1))
        rng = np.random.default_rng([turn, int(seen.total)])
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
