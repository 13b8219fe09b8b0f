from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from pydantic import PrivateAttr, field_validator

from ritz.compute.kind import Source
from ritz.compute.solvers.certify import relative_residual
from ritz.compute.solvers.choice.candidates import AnyCandidate
from ritz.compute.solvers.factorization.elimination import Elimination
from ritz.compute.solvers.solver import Attempt, Solver
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.tuning.features import TERMS, terms
from ritz.compute.solvers.tuning.learner import Learner
from ritz.compute.solvers.tuning.policy import LEARNING_TO_RELAX, AnyPolicy, UpperBound
from ritz.compute.solvers.tuning.record import Arm, Tuning
from ritz.compute.solvers.tuning.statistics import Statistics

STALE = 16
"""Systems answered by others after which the carry of an arm is dropped: its space is one of systems long past."""


@runtime_checkable
class OneByOne(Protocol):
    """What answers one system at a time; any `ritz.compute.solvers.sequential.Sequential` does."""

    kind: str

    def attempt(self, systems: Systems, i: int, *, rtol: float, carry: Any) -> tuple[Attempt, Any]:
        """Answer system ``i``; see `ritz.compute.solvers.sequential.Sequential.attempt`."""
        ...


@dataclass(frozen=True)
class Played:
    """The carry of `Tuned`.

    Attributes
    ----------
    own
        What was seen since the sequence began.
    carries
        By arm, what its last attempt handed back, and how many systems had been answered then.
    """

    own: Statistics
    carries: Mapping[int, tuple[Any, int]] = field(default_factory=dict)

    @property
    def systems(self) -> int:
        """How many were answered since then."""
        return int(self.own.total)

    def carry(self, arm: int) -> Any:
        """Return what an arm goes on from, None if it has to begin anew."""
        carried, at = self.carries.get(arm, (None, 0))
        return carried if self.systems - at <= STALE else None


class Tuned(Learner):
    """Chooses among settings system by system, and learns which cost least while it solves.

    Each system is answered by one of the ``arms``; what that took, in passes over a vector set-up included
    (`ritz.compute.solvers.solver.Attempt.work`), is what the policy learns from. A system that the arm misses is
    answered by elimination, whose work the arm is charged with. The arm changes what an answer costs alone: all end in
    the same `ritz.compute.solvers.certify.certify`, and the ledger names the kind of the arm.

    Sums of what was seen add up over shards, so that each shard begins with what those before it have learnt.
    """

    sources: ClassVar[tuple[Source, ...]] = (LEARNING_TO_RELAX,)

    by_itself: ClassVar[bool] = False

    kind: Literal["tuned"] = "tuned"
    arms: tuple[AnyCandidate, ...]
    """Solvers with their settings, two or more, as a recipe names solvers."""
    policy: AnyPolicy = UpperBound()
    """What decides which arm is next."""

    _known: Statistics | None = PrivateAttr(None)
    _turn: int = PrivateAttr(0)

    @field_validator("arms")
    @classmethod
    def _several(cls, arms: tuple[Solver, ...]) -> tuple[Solver, ...]:
        if len(arms) < 2:
            raise ValueError(f"arms has {len(arms)} of them, expected at least 2 to choose among")
        for number, arm in enumerate(arms):
            if not (arm.by_itself and isinstance(arm, OneByOne)):
                raise ValueError(
                    f"arms.{number} is {arm.kind!r}, expected a solver that answers system by system, itself"
                )
            if arm in arms[:number]:
                raise ValueError(f"arms.{number} is the same as arms.{arms.index(arm)}, expected different ones")
        return arms

    def unfit(self, systems: Systems) -> str:
        """Return which arm cannot solve such systems, and why; see `Solver.unfit`."""
        for number, arm in enumerate(self.arms):
            if reason := arm.unfit(systems):
                return f"arms.{number} is {arm.kind!r}: {reason}"
        return ""

    def expected(self, systems: Systems) -> float | None:
        """Return the expectation of the quickest arm that has one; see `Solver.expected`."""
        return min((cost for arm in self.arms if (cost := arm.expected(systems)) is not None), default=None)

    def answering(self) -> tuple[str, ...]:
        """Return the kinds of its arms; see `Solver.answering`."""
        return tuple(kind for arm in self.arms for kind in arm.answering())

    def attempt(self, systems: Systems, i: int, *, rtol: float, carry: Played | None) -> tuple[Attempt, Played]:
        """Answer one system with the arm that the policy plays; see `Sequential.attempt`.

        Raises
        ------
        ValueError
            If the arm does not count its work.
        """
        played = carry or Played(self._nothing)
        x = terms(systems.operators, i) if self.policy.contextual else np.ones(1)
        seen = played.own if self._known is None else self._known + played.own
        number, probability = self.policy.play(seen, x, self._turn)
        arm = self.arms[number]
        assert isinstance(arm, OneByOne)
        attempt, carried = arm.attempt(systems, i, rtol=rtol, carry=played.carry(number))
        if attempt.work is None:
            raise ValueError(
                f"arms.{number} is {arm.kind!r}, which does not count its work; expected a solver that says it "
                "in every `Attempt.work`"
            )
        attempt = _judged(replace(attempt, solver=attempt.solver or arm.kind), systems, i)
        assert attempt.work is not None
        work = attempt.work
        if not (attempt.residual is not None and attempt.residual <= rtol):
            elimination = Elimination()
            work += elimination.work(elimination.chosen(systems.operators), systems.operators)
        work = max(work, 1.0)
        return attempt, Played(
            played.own.played(number, x, work, seen.lost(work) / probability),
            {**played.carries, number: (carried, played.systems + 1)},
        )

    def summary(self, carry: Played | None) -> dict[str, np.ndarray]:
        """Return the sums over a sequence; see `Learner.summary`."""
        return (self._nothing if carry is None else carry.own).arrays()

    def informed(self, total: Mapping[str, np.ndarray], turn: int) -> Self:
        """Return a copy that begins with the sums of other sequences; see `Learner.informed`."""
        found = self.model_copy()
        found._known = Statistics.of(total) if total else None
        found._turn = turn
        return found

    def tuning(self, total: Mapping[str, np.ndarray]) -> Tuning | None:
        """Return what each arm cost, the best of them and the regret; see `Learner.tuning`."""
        seen = Statistics.of(total)
        systems, spent = seen.total, float(seen.work.sum())
        if not systems:
            return None
        everywhere = seen.on_all() / systems
        # Of few systems it is chance what an arm would have taken on all.
        well_known = seen.count >= 2 * seen.xy.shape[1]
        best = int(np.nanargmin(np.where(well_known, everywhere, np.inf) if well_known.any() else everywhere))
        return Tuning(
            policy=self.policy.model_dump(mode="json"),
            arms=tuple(
                Arm(
                    solver=arm.model_dump(mode="json"),
                    systems=int(seen.count[number]),
                    work=float(seen.work[number] / seen.count[number]) if seen.count[number] else None,
                    everywhere=None if math.isnan(everywhere[number]) else float(everywhere[number]),
                )
                for number, arm in enumerate(self.arms)
            ),
            systems=int(systems),
            work=spent / systems,
            best=best,
            regret=spent / systems / float(everywhere[best]) - 1,
        )

    @property
    def _nothing(self) -> Statistics:
        return Statistics.empty(len(self.arms), TERMS if self.policy.contextual else 1)


def _judged(attempt: Attempt, systems: Systems, i: int) -> Attempt:
    """Return an attempt with its true residual, where it has an answer."""
    if attempt.x is None or attempt.residual is not None:
        return attempt
    residual = relative_residual(systems.operators, i, attempt.x, systems.rhs[i].ravel())
    return replace(attempt, residual=residual, matvecs=attempt.matvecs + 1)
