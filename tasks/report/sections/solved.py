from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from markupsafe import Markup

from ritz.tasks.report.figures.maps import samples
from ritz.tasks.report.figures.shown import caption
from ritz.tasks.report.html import Pictures, joined, picture
from ritz.tasks.report.material import Material, RunFacts
from ritz.tasks.report.section import Draw, Section


class Solved(Section[RunFacts]):
    """Samples of a dataset as they were solved, a figure per output."""

    name = "samples"
    title = "Samples"
    link = "Samples"
    place = 10
    needs = ("truth", "inputs", "sample_id", "labels", "dimensions", "coordinates", "attrs")
    absent = "No sample of this version is good."

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``solved``, and ``solved_2`` … for further outputs."""
        return {name: partial(samples, facts.material, output) for name, output in _outputs(facts.material).items()}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the figures with what they show."""
        return joined(
            *(
                picture(
                    pictures,
                    name,
                    f"Inputs and {output} of the first good samples by id." + caption(facts.material, output),
                    wide=True,
                )
                for name, output in _outputs(facts.material).items()
            )
        )


def _outputs(material: Material) -> dict[str, str]:
    shown = [name for name in material.truth if len(material.truth[name])]
    return {f"solved_{position}" if position > 1 else "solved": name for position, name in enumerate(shown, 1)}
