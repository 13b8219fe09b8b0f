from __future__ import annotations

from markupsafe import Markup

from ritz.tasks.documents.evaluation import TruthError
from ritz.tasks.report.html import Pictures, joined, paragraph, table
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.section import Section
from ritz.tasks.report.wording import number

MANY = "all of the test split"

CAPTION = (
    "Relative L2 distances. An error of the model is one to the truth, which solves the discrete equations on this "
    "grid. Of a problem in time the finer grid has half the time steps, too. The distance to the solution of the PDE "
    "is about 4/3 of that to the finer grid for methods of second order, and twice as much for methods of first order."
)


class Truth(Section[RunFacts]):
    """What errors the truth has itself."""

    name = "truth"
    title = "Errors of the truth itself"
    under = "errors"
    place = 40
    column = 1
    needs = ("metrics", "truth_errors")
    absent = "Errors of the truth itself: not measured in this run."

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the errors of the truth below that of the model, and why one is not known."""
        found = facts.material.truth_errors
        if found is None:
            return Markup()
        own = facts.recorded.own_error
        rows = [("this model, to the truth", number(own.get("mean")), number(own.get("max")), MANY)] if own else []
        errors = {
            "the truth, to solutions on a grid twice as fine": found.discretisation,
            "the truth, to the exact solution of its equations": found.labels,
        }
        rows += [
            (title, number(error.mean), number(error.max), number(error.samples))
            for title, error in errors.items()
            if error.known
        ]
        rounding = found.rounding_bound
        stored = (
            "" if rounding is None else f" Rounding to the stored precision adds at most {number(rounding, 2)} to it."
        )
        return joined(
            table(
                CAPTION,
                rows,
                ("distance", "mean", "worst", "samples"),
                own=bool(own),
            ),
            paragraph(
                "Samples were not solved by Ritz."
                if found.rtol is None
                else f"Samples were solved to a relative residual of {number(found.rtol)}.{stored}"
            ),
            *(paragraph(f"Not known: {title}; {error.reason}.", "muted") for title, error in _unknown(errors)),
        )


class Worst(Section[RunFacts]):
    """The samples with the largest errors."""

    name = "worst"
    title = "Worst samples"
    under = "errors"
    place = 50
    column = 1
    needs = ("worst",)
    absent = "Worst samples: not listed in this run."

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the ids with their errors."""
        rows = [(str(sample.id), number(sample.relative_l2)) for sample in facts.material.worst]
        if not rows:
            return Markup()
        caption = "Test samples with the largest relative L2 errors, by their ids (sample_id of the dataset)."
        return table(caption, rows, ("sample", "relative L2"), kind="narrow")


def _unknown(errors: dict[str, TruthError]) -> list[tuple[str, TruthError]]:
    return [(title, error) for title, error in errors.items() if not error.known]
