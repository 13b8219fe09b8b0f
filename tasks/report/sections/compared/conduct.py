from __future__ import annotations

import shlex

from markupsafe import Markup

from ritz.tasks.report.compared import NAMES, Compared
from ritz.tasks.report.html import Pictures, code, joined, paragraph, table
from ritz.tasks.report.section import Section
from ritz.tasks.report.wording import duration, number


class HeldEqual(Section[Compared]):
    """What the trainings that are compared have in common."""

    name = "how"
    title = "Equal conditions"
    place = 30
    needs = ("samples", "epochs", "steps", "arms", "gains")

    def html(self, facts: Compared, pictures: Pictures) -> Markup:
        """Return what was equal, and what was not."""
        record, arms = facts.record, facts.record.arms
        same = all(one.same_first_weights for one in record.gains.values())
        weights = (
            Markup("the same first weights (compared by their SHA-256)")
            if same
            else Markup('<span class="warn">first weights that differ</span>')
        )
        return joined(
            paragraph(
                Markup(
                    "Offline: {samples} simulations, {epochs} epochs, {steps} gradient steps. Online at equal steps "
                    "sees {at_steps} simulations as they arrive, the offline ones among them; at equal solves the same "
                    "{at_solves} simulations, each block once, with as many steps as offline. Optimiser, learning rate "
                    "and its schedule over the steps, losses, batch size and test set are the same for all. A pair has "
                    "{weights} and its own choice of simulations. Not equal: the normalisation, which offline fits on "
                    "all its simulations and online on those below the watermark. All seeds choose from one pool of "
                    "simulations, so the interval is that of this pool and this test set."
                ).format(
                    samples=number(record.samples),
                    epochs=f"{record.epochs:g}",
                    steps=number(record.steps),
                    at_steps=number(arms["equal_steps"].samples),
                    at_solves=number(arms["equal_solves"].samples),
                    weights=weights,
                )
            ),
            paragraph(
                "Trainings are real. Simulations were solved once, before, and are read back in the order in which a "
                "run would deliver them: shards of neighbours, at random, through the recipe's buffer and rate limiter."
            ),
        )


class WallTime(Section[Compared]):
    """How the wall time is modelled."""

    name = "clock"
    title = "Wall time"
    under = "how"
    place = 10
    needs = ("clock", "arms")

    def html(self, facts: Compared, pictures: Pictures) -> Markup:
        """Return what was measured, and what follows from it."""
        clock, arm = facts.record.clock, facts.record.arms["equal_time"]
        fewer = arm.samples < clock.could_solve
        limited = ", all that there are in the pool or fit into its batches" if fewer else ""
        return paragraph(
            f"Measured: {duration(clock.solver_seconds)} of solver time per simulation (ledger) on "
            f"{number(clock.solvers)} solve workers, so one every {duration(clock.simulation)}; "
            f"{duration(clock.step)} per gradient step (median of the offline trainings here). Modelled from that: "
            f"offline takes {duration(clock.seconds)}, first solving, then training. In that time online begins "
            f"after {duration(clock.begin)}, at the watermark, and does {number(arm.steps)} steps while "
            f"{number(clock.could_solve)} simulations could be solved; it was given {number(arm.samples)}"
            f"{limited}. The model lets solvers and trainer run side by side without slowing each other, and leaves "
            "out storing and reading for both; a step has its share of validating in it."
        )


class Seeds(Section[Compared]):
    """The error of every training."""

    name = "seeds"
    title = "Every seed"
    place = 40
    needs = ("seeds", "arms")

    def html(self, facts: Compared, pictures: Pictures) -> Markup:
        """Return a row per seed."""
        per_seed = zip(*(facts.errors(arm) for arm in NAMES), strict=True)
        return table(
            "Mean relative L2 error over the test samples.",
            [
                (str(seed), *(number(error, 4) for error in errors))
                for seed, errors in zip(facts.record.seeds, per_seed, strict=True)
            ],
            ("seed", *NAMES.values()),
            kind="narrow",
        )


class Again(Section[Compared]):
    """What was typed, and with what it was computed."""

    name = "again"
    title = "To repeat this"
    place = 50
    needs = ("command", "versions")

    def html(self, facts: Compared, pictures: Pictures) -> Markup:
        """Return the command and the versions."""
        versions = ", ".join(f"{package} {version}" for package, version in facts.record.versions.items())
        return joined(code(shlex.join(facts.record.command)), paragraph(f"{versions}.", "muted"))
