from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from markupsafe import Markup

from ritz.tasks.report.figures.film import Film
from ritz.tasks.report.figures.shown import place
from ritz.tasks.report.html import Pictures, film, joined
from ritz.tasks.report.material import Material, RunFacts
from ritz.tasks.report.section import Draw, Section


class Films(Section[RunFacts]):
    """A test sample over time, a film per output."""

    name = "films"
    under = "samples"
    place = 10
    needs = ("truth", "prediction", "sample_id", "labels", "dimensions", "coordinates", "attrs")

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``film``, and ``film_2`` … for further outputs; none without times enough."""
        return {name: partial(one.draw, facts.material) for name, one in _films(facts.material).items()}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the films with what they show."""
        return joined(
            *(
                film(pictures, name, _film_caption(facts.material, one), one.times, one.ratio)
                for name, one in _films(facts.material).items()
            )
        )


def _films(material: Material) -> dict[str, Film]:
    """Return the films by the names of their figures."""
    found = [one for output in material.truth if (one := Film.of(material, output)) is not None]
    return {f"film_{at}" if at > 1 else "film": one for at, one in enumerate(found, 1)}


def _film_caption(material: Material, one: Film) -> str:
    label = f" ({material.labels[one.row]})" if one.row < len(material.labels) else ""
    what = (
        "truth (solid) and prediction (dashed)"
        if len(one.dims) == 1
        else "truth and prediction on one colour scale, and the error"
    )
    there = place(material, one.output, material.truth[one.output].shape[1:], over_time=True)
    return (
        f"{material.label(one.output)} of test sample {material.sample_id[one.row]}{label} over time"
        f"{f', {there}' if there else ''}: {what}. Each button shows one time; arrow keys go from one to the next."
    )
