from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from ritz.tasks.report.html import Pictures, joined, paragraph, table
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.section import Section
from ritz.tasks.report.wording import duration, number, percent, timing


class Costs(Section[RunFacts]):
    """What the run and its model cost; all of it is in its parts."""

    name = "costs"
    title = "Costs and times"
    link = "Costs"
    place = 70

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return nothing."""
        return Markup()


class BreakEven(Section[RunFacts]):
    """After how many queries the model has paid for itself."""

    name = "break-even"
    title = "When the surrogate pays"
    under = "costs"
    place = 10
    needs = ("break_even",)
    absent = "Break-even: not measured in this run."

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the sentence, and how it was measured; the reason where it was not."""
        found = facts.recorded.break_even
        if not found.get("measured"):
            return paragraph(f"Break-even: {found.get('reason', 'not measured in this run')}.", "missing")
        best = found["fastest"]
        coarser = f" on {best['space']} times fewer points per axis" if best["space"] > 1 else ""
        coarser += f" with {best['time']} times fewer steps" if best["time"] > 1 else ""
        rest = "" if found["complete"] else "; time ran out before all could be tried"
        return joined(
            paragraph(
                f"{found['sentence']} Until the first query {duration(found['spent'])} had been spent on solving and "
                "training."
            ),
            paragraph(
                f"Matched error: a solve of the same test samples ({found['samples']} of them) whose relative L2 "
                f"error, {number(best['error'])}, is at most that of this model, {number(found['error'])}. The fastest "
                f"of {len(found['tried'])} that were tried: {best['solver']['kind']} at rtol "
                f"{number(best['rtol'])}{coarser}{rest}.",
                "muted",
            ),
        )


class ModelCosts(Section[RunFacts]):
    """What the model costs to make and to ask."""

    name = "model-costs"
    under = "costs"
    place = 20
    needs = ("cost", "break_even", "usage")

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return a row per cost."""
        cost, found, usage = facts.recorded.cost, facts.recorded.break_even, facts.recorded.usage
        if not cost:
            return Markup()
        rows = _rows(cost)
        if found.get("measured"):
            rows += _rows_at_matched_error(found, cost["inference"]["threads"])
        return table("Cost of this model.", rows + _rows_of_machines(usage), kind="narrow")


def _rows(cost: Mapping[str, Any]) -> list[tuple[str, str]]:
    data, training, inference = cost["training_data"], cost["training"], cost["inference"]
    where = f"{inference['device']}, {number(inference['threads'])} thread{'s' if inference['threads'] > 1 else ''}"
    return [
        (
            f"solving {number(data['samples'])} samples, solver time in all, one thread each",
            duration(data["solver_seconds"]),
        ),
        (f"training, {number(training['steps'])} steps without waiting", duration(training["training_seconds"])),
        (f"a prediction, one at a time ({where})", timing(inference, "seconds", "spread")),
        (
            f"a prediction, in batches of {inference['batch']} ({where})",
            timing(inference, "seconds_batched", "spread_batched"),
        ),
    ]


def _rows_of_machines(usage: Mapping[str, Any]) -> list[tuple[str, str]]:
    if usage.get("efficiency") is None:
        return []
    attempts, nodes = usage["attempts"], usage["nodes"]
    times = f", in {attempts} attempts" if attempts > 1 else ""
    return [
        (f"node-hours, {nodes} node{'s' if nodes > 1 else ''}{times}", number(usage["node_hours"])),
        (f"core-hours of {usage['workers']} workers, from their start to their end", number(usage["core_hours"])),
        ("share of them that is processor time", percent(usage["efficiency"])),
    ]


def _rows_at_matched_error(found: Mapping[str, Any], threads: int) -> list[tuple[str, str]]:
    def queries(name: str) -> str:
        return "never" if found[name] is None else number(found[name])

    solver = f"{found['fastest']['solver']['kind']}, {threads} thread{'s' if threads > 1 else ''}"
    return [
        (f"a solve at matched error ({solver})", timing(found["fastest"])),
        ("queries until it has paid for itself, one at a time", queries("queries")),
        ("queries until it has paid for itself, in batches", queries("queries_batched")),
    ]
