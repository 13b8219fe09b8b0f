"""Goals of a family, and whether a run met them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.comparison import Row

GMRES_ILU = "PETSc GMRES(30) + ILU(0)"


@dataclass(frozen=True)
class Verdict:
    """What came out: the goal, what was reached, against whom, and whether that is enough (None: nobody to say)."""

    goal: str
    reached: str
    against: str
    met: bool | None


Goal = Callable[[Row | None, Sequence[Row]], Verdict]
"""Takes the best row of Ritz and all rows of peers."""


def faster(least: float, group: str, who: str) -> Goal:
    """Ask for ``least`` times the speed of the best peer of a group; ``who`` is its name in the table.

    ``group`` is ``"direct"``, ``"iterative"``, ``""`` for all peers, or the name of one.
    """

    def judge(best: Row | None, peers: Sequence[Row]) -> Verdict:
        goal = f"≥ {least:g}× {who}"
        if best is None:
            return Verdict(goal, "–", "no method of Ritz answered all systems", None)
        rivals = [row for row in peers if group in ("", row.group, row.name) and not row.missed]
        ratios = {row.name: ratio for row in rivals if np.isfinite(ratio := row.ratio(best))}
        if not ratios:
            return Verdict(goal, "–", "no such peer answered all its systems", None)
        rival = min(ratios, key=ratios.__getitem__)
        return Verdict(goal, f"{ratios[rival]:.2f}×", rival, ratios[rival] >= least)

    return judge


def iterations(most: float) -> Goal:
    """Ask that the best method of Ritz takes at most so many iterations in the mean."""

    def judge(best: Row | None, _: Sequence[Row]) -> Verdict:
        goal = f"≤ {most:g} iterations"
        if best is None or best.iterations is None:
            return Verdict(goal, "–", "no iterative method of Ritz won", None)
        return Verdict(goal, f"{best.iterations:.1f}", best.name, best.iterations <= most)

    return judge
