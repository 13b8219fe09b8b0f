from __future__ import annotations

import numpy as np
from markupsafe import Markup

from ritz.compute.uncertainty.catalogue import promise
from ritz.tasks.report.html import Pictures, joined, paragraph
from ritz.tasks.report.material import Material, RunFacts
from ritz.tasks.report.recorded import Recorded
from ritz.tasks.report.section import Section
from ritz.tasks.report.wording import number, percent

NOT_PROMISED = (
    "Not guaranteed: the coverage of a single sample, of {part}, of samples of another law, on another grid or after "
    "the last calibrated step. The coverage of one calibration differs from the expected one by chance."
)

DISCRETE = "The bands are about the discrete solution on this grid, and not about the solution of the PDE. "


class Promise(Section[RunFacts]):
    """What is guaranteed of the error bars, and what is not."""

    name = "promise"
    title = "What is guaranteed, and what is not"
    under = "coverage"
    place = 10
    needs = ("coverage", "recipe", "truth_errors", "half_width", "truth", "level")

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the promise, its limits, and the error of the truth itself beside the width of the bands."""
        if not facts.recorded.coverage:
            return Markup()
        said = promise(dict(facts.recorded.recipe.get("uncertainty") or {}))
        part = "a single cell" if by_time(facts.recorded) else "a single cell or time"
        return joined(
            paragraph(f"Guaranteed: {said[:1].lower()}{said[1:]}"),
            paragraph(NOT_PROMISED.format(part=part)),
            paragraph(DISCRETE + _beside(facts.material)),
        )


def by_time(recorded: Recorded) -> bool:
    """Return whether the bands were calibrated at each stored time by itself."""
    return (recorded.recipe.get("uncertainty") or {}).get("per") == "time"


def _beside(material: Material) -> str:
    """Return how far the truth is from a finer grid, and how wide the bands are, both relative to the field."""
    errors, width = material.truth_errors, _relative_width(material)
    of_band = (
        f" For the samples that are shown, the half width of the {percent(material.level)} bands over the field is "
        f"{number(width)} (root mean squares of both)."
        if width is not None
        else ""
    )
    if errors is None:
        return "How far that is from a finer grid is not known; `ritz evaluate` looks." + of_band
    finer = errors.discretisation
    if not finer.known:
        return f"How far that is from a finer grid is not known: {finer.reason}." + of_band
    beside = f"Its relative L2 distance to a grid twice as fine is {number(finer.mean)} in the mean, "
    beside += f"{number(finer.max)} at worst, over {number(finer.samples)} samples." + of_band
    if width is not None and finer.mean is not None and finer.mean > width:
        beside += " The error of the grid is the larger one: fields on a finer grid may lie outside of these bands."
    return beside


def _relative_width(material: Material) -> float | None:
    """Return the half widths over the fields of the samples that are shown, both in root mean square."""
    found = []
    for name, half_width in material.half_width.items():
        finite = np.isfinite(half_width) & np.isfinite(material.truth[name])
        field = float(np.sqrt(np.mean(material.truth[name][finite].astype(float) ** 2))) if finite.any() else 0.0
        if field:
            found.append(float(np.sqrt(np.mean(half_width[finite].astype(float) ** 2))) / field)
    return float(np.mean(found)) if found else None
