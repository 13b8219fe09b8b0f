from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ritz.tasks.report.html import Pictures, joined, paragraph, table
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.section import Section
from ritz.tasks.report.wording import duration, number, settings


class Choice(Section[RunFacts]):
    """Which solver was chosen, and what was tried."""

    name = "solver"
    title = "Choice of the solver"
    link = "Solver"
    place = 50
    needs = ("choice",)
    absent = (
        "Nothing had to be chosen: the recipe names its solver, the problem poses no systems, or every sample was in "
        "the store already."
    )

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the choice, what was tried and what was left out."""
        choice = facts.recorded.choice
        return joined(
            _verdict(choice) if choice.get("chosen") else self.otherwise(),
            _tried(choice.get("tried") or ()),
            _left_out(choice.get("left_out") or ()),
        )

    def otherwise(self) -> Markup:
        """Return why there is no choice; nothing is missing then."""
        return paragraph(self.absent, "muted")


def _verdict(choice: Mapping[str, Any]) -> Markup:
    systems, unknowns, ratio = (choice.get(name) for name in ("systems", "unknowns", "ratio"))
    on = f" on {number(systems)} systems" if systems else ""
    of = f" of {number(unknowns)} unknowns" if systems and unknowns else ""
    next_best = f", {number(ratio)} times as fast as the next" if ratio else ""
    return paragraph(f"Auto tried the candidates below{on}{of} and chose {settings(choice['chosen'])}{next_best}.")


def _tried(rows: Sequence[Mapping[str, Any]]) -> Markup:
    if not rows:
        return Markup()
    return table(
        "Candidates that ran.",
        [
            (
                settings(row.get("solver")),
                number(row.get("systems")),
                number(row.get("iterations")),
                duration(row.get("seconds")),
                number(row.get("missed")),
            )
            for row in rows
        ],
        ("solver", "systems", "iterations", "time per system", "not answered"),
        kind="narrow",
    )


def _left_out(rows: Sequence[Mapping[str, Any]]) -> Markup:
    if not rows:
        return Markup()
    left_out = [(settings(row.get("solver")), str(row["reason"])) for row in rows]
    return table("Candidates that were left out.", left_out, ("solver", "why"), kind="narrow", text=True)
