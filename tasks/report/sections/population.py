from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from ritz.tasks.documents.propagation import PropagationRecord
from ritz.tasks.report.html import Pictures, paragraph, table
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.section import Section
from ritz.tasks.views import propagated


class Population(Section[RunFacts]):
    """What was asked about the population of the law."""

    name = "population"
    title = "Population"
    link = "Population"
    place = 45
    needs = ("population",)

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the answers, and of each question what was taken and what did not pay."""
        parts = [part for found in facts.recorded.population for part in _question(found)]
        return Markup("\n").join(parts)


def _question(found: Mapping[str, Any]) -> list[Markup]:
    record = PropagationRecord.model_validate(found)
    parts = []
    for caption, rows in (
        ("Answers; the intervals hold whatever the surrogate is worth.", propagated.answers(record)),
        ("Rungs on which they could stand, by a pilot.", propagated.rungs(record)),
    ):
        parts.append(table(caption, [tuple(row.values()) for row in rows], tuple(rows[0])))
    return [*parts, *(paragraph(f"{line[:1].upper()}{line[1:]}.") for line in propagated.lines(record))]
