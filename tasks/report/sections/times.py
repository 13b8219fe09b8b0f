from __future__ import annotations

from markupsafe import Markup

from ritz.tasks.report.html import Pictures, table
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.section import Section
from ritz.tasks.report.wording import duration, number

TIMES = {
    "total": "whole run",
    "generate": "generating, until the dataset was published",
    "train": "training, from its start to its last step",
    "first_step": "until the first training step",
    "last_shard": "until the last shard was committed",
    "evaluate": "evaluating and calibrating the bands",
}
"""What the known times of a record mean, in the order of the report."""

COUNTS = ("steps", "steps_while_solving")
"""Entries of ``times`` that are not seconds."""


class Times(Section[RunFacts]):
    """The heading over times and versions."""

    name = "times"
    title = "Times of the run"
    under = "costs"
    place = 30

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return nothing."""
        return Markup()


class Durations(Section[RunFacts]):
    """How long the stages took."""

    name = "durations"
    under = "costs"
    place = 40
    column = 1
    needs = ("times", "totals", "memory")
    absent = "Times: not measured in this run."

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return a row per time, and the largest memory of the driver."""
        times, solving = facts.recorded.times, facts.recorded.totals.get("seconds")
        names = [*(name for name in TIMES if name in times), *(name for name in times if name not in TIMES)]
        rows = [
            (TIMES.get(name, name.replace("_", " ")), duration(times[name])) for name in names if name not in COUNTS
        ]
        if solving is not None:
            rows.append(("in the solvers, sum over all samples", duration(solving)))
        if not rows:
            return Markup()
        if "driver_peak" in facts.recorded.memory:
            rows.append(("largest memory of the driver", f"{number(facts.recorded.memory['driver_peak'] / 1e6)} MB"))
        return table("Stages overlap, so their times do not add up.", rows)


class Versions(Section[RunFacts]):
    """With what it was computed."""

    name = "versions"
    under = "costs"
    place = 50
    column = 2
    needs = ("versions", "machine")
    absent = "Versions: not measured in this run."

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return a row per package, and per trait of the machine."""
        versions, machine = facts.recorded.versions, facts.recorded.machine
        if not versions:
            return Markup()
        rows = [(name, str(value)) for name, value in [*versions.items(), *machine.items()] if value is not None]
        return table(f"Versions of the software{', and the machine of the driver' if machine else ''}.", rows)
