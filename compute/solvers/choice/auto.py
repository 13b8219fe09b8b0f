from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, cast

import numpy as np
from pydantic import Field, PrivateAttr, field_validator

from ritz.compute.document import Json
from ritz.compute.kind import in_units
from ritz.compute.solvers.choice.candidates import SINGLE, AnyCandidate
from ritz.compute.solvers.choice.record import Choice, LeftOut, Tried
from ritz.compute.solvers.choice.timing import Contender, interleave
from ritz.compute.solvers.solver import Solutions, Solver
from ritz.compute.solvers.systems import Systems

log = logging.getLogger(__name__)

REACH = 3.0
"""Times the leader's time: what takes more is given up, or not tried if that is sure."""

_SLACK = 1.5
"""Factor by which an expectation may be wrong."""


class Auto(Solver):
    """Chooses a solver by structure, size and measurement on the first systems of a run.

    What fits the structure of the systems is put in the order of its expected cost; what cannot come
    within three times the leader is left out. The others solve the same systems, in the same order and with
    their carry, in turn, until each has had all or has fallen behind (see `interleave`).
    The one with the least time per system (median) wins among those that answered every system themselves to the
    tolerance.
    """

    by_itself: ClassVar[bool] = False

    kind: Literal["auto"] = "auto"
    candidates: tuple[AnyCandidate, ...] = ()
    """What to try; by default all shipped solvers that fit, with every library that is installed."""
    probe: int = Field(default=5, ge=1, le=1000, json_schema_extra=in_units("systems"))
    """Systems to try them on."""

    _among: tuple[str, ...] | None = PrivateAttr(None)

    @field_validator("candidates")
    @classmethod
    def _no_choice_of_choices(cls, candidates: tuple[Solver, ...]) -> tuple[Solver, ...]:
        if not all(candidate.by_itself for candidate in candidates):
            others = ", ".join(candidate.kind for candidate in candidates if not candidate.by_itself)
            raise ValueError(f"candidates holds {others}, expected solvers that solve by themselves")
        return candidates

    def choose(self, systems: Systems | Sequence[Systems], rtol: float) -> tuple[Solver, Choice]:
        """Try the candidates on the first systems and name the best.

        Parameters
        ----------
        systems
            At least one; the first ``probe`` are used, in their order. For time stepping and Newton's method
            the batches one after the other; of each the first two samples are used.
        rtol
            Largest true relative residual of a good answer.

        Returns
        -------
        solver
            The winner; the first candidate, and a warning in the log, if none answered every system itself.
        choice
            What was measured.

        Raises
        ------
        ValueError
            If there is no system to try on.
        """
        batches = [systems] if isinstance(systems, Systems) else list(systems)
        if not batches or len(batches[0]) == 0:
            raise ValueError("systems is empty, expected at least one system to try the candidates on")
        able, left_out = self._able(batches[0])
        probed = _probed(batches, self.probe)
        contenders = [Contender(solver, probed) for solver, _ in able]
        interleave(contenders, rtol, reach=REACH)
        tried = [
            Tried(solver=_fields(solver), **contender.summary(), expected=cost, missed=contender.missed)
            for (solver, cost), contender in zip(able, contenders, strict=True)
        ]
        good = [i for i, one in enumerate(tried) if one.missed == 0]
        if not good:
            log.warning("no candidate answered all %d systems of the probe: the first is taken", len(probed))
        ranked = sorted(good, key=lambda i: tried[i].seconds) or [0]
        winner = ranked[0]
        choice = Choice(
            systems=sum(len(batch) for batch in probed),
            unknowns=batches[0].operators.pattern.size,
            rtol=rtol,
            tried=tuple(tried),
            left_out=tuple(left_out),
            chosen=tried[winner].solver,
            ratio=tried[ranked[1]].seconds / tried[winner].seconds if len(ranked) > 1 else None,
        )
        return able[winner][0], choice

    def among(self, kinds: Sequence[str]) -> Auto:
        """Return one that leaves out the candidates of other kinds: a dataset names those that it began with."""
        found = self.model_copy()
        found._among = tuple(kinds)
        return found

    def again(self, chosen: Mapping[str, Any]) -> Solver:
        """Return the candidate that was chosen before, from its fields."""
        known = _classes() | {self.kind: type(self)} | {one.kind: type(one) for one in self.candidates}
        return known[chosen["kind"]].model_validate(chosen)

    def answering(self) -> tuple[str, ...]:
        """Return the kinds of its candidates, those of installed packages too; see `Solver.answering`."""
        if not self.candidates:
            return tuple(_classes())
        return tuple(kind for one in self.candidates for kind in one.answering())

    def leader(self, systems: Systems) -> Solver:
        """Return the candidate that is expected to be the quickest; nothing is measured."""
        able, _ = self._able(systems)
        return able[0][0]

    def _able(self, systems: Systems) -> tuple[list[tuple[Solver, float | None]], list[LeftOut]]:
        """Return the candidates to try with their expected seconds, cheapest first, and why others are left out."""
        left_out: list[LeftOut] = []
        fitting: list[tuple[Solver, float | None]] = []
        for solver in self.candidates or _known():
            reason = solver.unfit(systems)
            if self._among is not None and solver.kind not in self._among:
                reason = "the dataset began with a release that did not have it"
            if reason:
                left_out.append(LeftOut(solver=_fields(solver), reason=reason))
                continue
            solver = solver.settled(systems)
            fitting.append((solver, solver.expected(systems)))
        if self.candidates:
            # Named ones are all tried, in the order of the names.
            return fitting or [(self.candidates[0], None)], left_out
        fitting.sort(key=lambda found: (found[1] is None, found[1] or 0.0))
        least = min((cost for _, cost in fitting if cost is not None), default=0.0)
        able = []
        for solver, cost in fitting:
            if cost is None or cost <= REACH * _SLACK * least:
                able.append((solver, cost))
            else:
                reason = f"expected to take {cost / least:.0f} times what {able[0][0].kind} takes"
                left_out.append(LeftOut(solver=_fields(solver), reason=reason))
        return able, left_out

    def solve(self, systems: Systems, *, rtol: float, carry: Any = None) -> tuple[Solutions, Any]:
        """Solve with the winner, chosen in the first call of a sequence; see `Solver.solve`.

        The carry is the winner and its own carry.
        """
        if carry is None:
            carry = (self.choose(systems, rtol)[0], None)
        solver, inner = carry
        solutions, inner = solver.solve(systems, rtol=rtol, carry=inner)
        return solutions, (solver, inner)


def _known() -> tuple[Solver, ...]:
    return tuple(solver for cls in _classes().values() for solver in cls.candidates_of())


def _classes() -> dict[str, type[Solver]]:
    return cast(dict[str, type[Solver]], SINGLE.kinds())


def _fields(solver: Solver) -> Json:
    return solver.model_dump(mode="json")


def _probed(batches: Sequence[Systems], probe: int) -> list[Systems]:
    """Cut what is tried on: single systems of one batch, or the first two samples of a sequence of batches.

    Systems that are not finite fail with every solver and are left out.
    """
    good = np.flatnonzero(np.logical_and.reduce([batch.finite() for batch in batches]))
    good = good if len(good) else np.arange(len(batches[0]))
    if len(batches) == 1 and batches[0].operators.constant and len(good) > 1:
        # What is done once for the matrix is done before the clock starts; blocks are what the run will solve.
        first = batches[0].take(good[: 2 * probe])
        half = (len(first) + 1) // 2
        return [first.take(slice(half)), first.take(slice(half, None))]
    if len(batches) == 1:
        return [batches[0].take(good[i : i + 1]) for i in range(min(probe, len(good)))]
    # Operators that come again must come again as the same object.
    few = {id(batch.operators): batch.operators.take(good[:2]) for batch in batches}
    return [
        Systems(few[id(batch.operators)], batch.rhs[good[:2]], None if batch.guess is None else batch.guess[good[:2]])
        for batch in batches
    ]
