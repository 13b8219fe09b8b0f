from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from compute.kind import OneOf
from compute.solvers.direct import Direct
from compute.solvers.recycled import Recycled
from compute.solvers.solver import COLUMNS, Ledger, Solutions, Solver
from compute.solvers.systems import Systems

log = logging.getLogger(__name__)

AnyCandidate = Annotated[Solver, OneOf(Solver, lambda: (Direct, Recycled))]


class Auto(Solver):
    """Chooses a solver by measurement on the first systems of a run.

    Every candidate solves the same systems, in the same order and with its carry, one system of each in turn,
    so that a change of the machine's speed meets them all. The one with the least time a system (median) wins
    among those that answered every system themselves to the tolerance.
    """

    kind: Literal["auto"] = "auto"
    candidates: tuple[AnyCandidate, ...] = Field(default=(Direct(), Recycled()), min_length=1)
    """What to try."""
    probe: int = Field(default=8, ge=1, le=1000)
    """Systems to try them on."""

    @field_validator("candidates")
    @classmethod
    def _no_choice_of_choices(cls, candidates: tuple[Solver, ...]) -> tuple[Solver, ...]:
        if any(isinstance(candidate, Auto) for candidate in candidates):
            raise ValueError("candidates holds auto, expected solvers that solve by themselves")
        return candidates

    def choose(self, systems: Systems, rtol: float) -> tuple[Solver, dict[str, Any]]:
        """Try the candidates on the first systems and name the best.

        Parameters
        ----------
        systems
            At least one; the first ``probe`` are used, in their order.
        rtol
            Largest true relative residual of a good answer.

        Returns
        -------
        solver
            The winner; the first candidate, and a warning in the log, if none answered every system itself.
        record
            Goes into JSON: ``systems``, ``unknowns``, ``rtol``; ``tried``, a list of {``solver`` (its fields),
            ``iterations`` and ``matvecs`` (means), ``seconds`` (median a system), ``max_residual`` (None if
            not finite), ``missed`` (systems it could not answer itself)}; ``chosen`` (fields of the winner);
            ``ratio``: seconds of the best other candidate that missed nothing over those of the winner, None
            if there is none.

        Raises
        ------
        ValueError
            If there is no system to try on.
        """
        if len(systems) == 0:
            raise ValueError("systems is empty, expected at least one system to try the candidates on")
        systems = systems.take(slice(self.probe))
        ledgers = _interleave([(candidate, systems, True) for candidate in self.candidates], rtol)
        tried = []
        for candidate, ledger in zip(self.candidates, ledgers, strict=True):
            missed = sum(
                status != "ok" or name != candidate.kind
                for status, name in zip(ledger["status"], ledger["solver"], strict=True)
            )
            tried.append({"solver": candidate.model_dump(mode="json"), **_summary(ledger), "missed": missed})
        able = [i for i, row in enumerate(tried) if row["missed"] == 0]
        if not able:
            log.warning("no candidate answered all %d systems of the probe: the first is taken", len(systems))
        ranked = sorted(able, key=lambda i: tried[i]["seconds"]) or [0]
        winner = ranked[0]
        record = {
            "systems": len(systems),
            "unknowns": int(np.prod(systems.operators.shape)),
            "rtol": rtol,
            "tried": tried,
            "chosen": tried[winner]["solver"],
            "ratio": tried[ranked[1]]["seconds"] / tried[winner]["seconds"] if len(ranked) > 1 else None,
        }
        return self.candidates[winner], record

    def solve(self, systems: Systems, *, rtol: float, carry: Any = None) -> tuple[Solutions, Any]:
        """Solve with the winner, chosen in the first call of a sequence; see `Solver.solve`.

        The carry is the winner and its own carry.
        """
        if carry is None:
            carry = (self.choose(systems, rtol)[0], None)
        solver, inner = carry
        solutions, inner = solver.solve(systems, rtol=rtol, carry=inner)
        return solutions, (solver, inner)


def panel(
    systems_sorted: Systems,
    systems_unsorted: Systems,
    rtol: float,
    *,
    recycled: Recycled | None = None,
    direct: Direct | None = None,
) -> list[dict[str, Any]]:
    """Measure what sorting and carrying are worth, whoever wins.

    Parameters
    ----------
    systems_sorted, systems_unsorted
        The same systems in the order of a shard and as they were drawn.
    rtol
        Largest true relative residual of a good answer.
    recycled, direct
        Solvers to compare; with their defaults if None.

    Returns
    -------
    list of dict
        Rows {``method`` (``"recycled, carry"``, ``"recycled, no carry"``, ``"direct"``), ``order``
        (``"sorted"`` or ``"unsorted"``), ``iterations`` and ``matvecs`` (means), ``seconds`` (median a system),
        ``max_residual`` (None if not finite)}, measured in turn system by system. They go into JSON.
    """
    lanes: list[tuple[Solver, Systems, bool]] = []
    rows: list[dict[str, Any]] = []
    for solver, method, carries in (
        (recycled or Recycled(), "recycled, carry", True),
        (recycled or Recycled(), "recycled, no carry", False),
        (direct or Direct(), "direct", False),
    ):
        for order, systems in (("sorted", systems_sorted), ("unsorted", systems_unsorted)):
            lanes.append((solver, systems, carries))
            rows.append({"method": method, "order": order})
    return [row | _summary(ledger) for row, ledger in zip(rows, _interleave(lanes, rtol), strict=True)]


def _interleave(lanes: Sequence[tuple[Solver, Systems, bool]], rtol: float) -> list[Ledger]:
    """Solve with several solvers, one system of each in turn; a lane is a solver, its systems, whether it carries."""
    ledgers: list[Ledger] = [{name: [] for name in COLUMNS} for _ in lanes]
    carries: list[Any] = [None] * len(lanes)
    # What is done once for a pattern, and the first touch of libraries, belongs to no system.
    for solver, systems, _ in lanes:
        solver.solve(systems.take(slice(1)), rtol=rtol)
    for i in range(max(len(systems) for _, systems, _ in lanes)):
        for lane, (solver, systems, carries_on) in enumerate(lanes):
            if i < len(systems):
                carry = carries[lane] if carries_on else None
                solutions, carries[lane] = solver.solve(systems.take(slice(i, i + 1)), rtol=rtol, carry=carry)
                for name in COLUMNS:
                    ledgers[lane][name] += solutions.ledger[name]
    return ledgers


def _summary(ledger: Ledger) -> dict[str, Any]:
    """Sum up a ledger in plain numbers."""
    worst = float(np.max(ledger["residual"]))
    return {
        "iterations": float(np.mean(ledger["iterations"])),
        "matvecs": float(np.mean(ledger["matvecs"])),
        "seconds": float(np.median(ledger["seconds"])),
        "max_residual": worst if np.isfinite(worst) else None,
    }
