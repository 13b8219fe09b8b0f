from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from markupsafe import Markup

from ritz.tasks.report.figures.maps import samples
from ritz.tasks.report.figures.shown import explanation
from ritz.tasks.report.html import Pictures, joined, picture
from ritz.tasks.report.material import Material, RunFacts
from ritz.tasks.report.section import Draw, Section


class Samples(Section[RunFacts]):
    """Test samples, chosen by their error, a figure per output."""

    name = "samples"
    title = "Test samples"
    link = "Samples"
    place = 10
    needs = (
        "truth", "prediction", "inputs", "half_width", "level", "sample_id", "labels", "dimensions", "coordinates",
        "attrs",
    )  # fmt: skip
    absent = "Fields of test samples: not measured in this run."

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``samples``, and ``samples_2`` … for further outputs."""
        shown = outputs(facts.material)
        return {name: partial(samples, facts.material, output) for name, output in shown.items()}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the figures with what they show."""
        return joined(
            *(
                picture(pictures, name, explanation(facts.material, output), wide=True)
                for name, output in outputs(facts.material).items()
            )
        )


def outputs(material: Material) -> dict[str, str]:
    """Return which output each figure of samples shows, by the name of the figure."""
    shown = [name for name in material.truth if name in material.prediction and len(material.truth[name])]
    return {f"samples_{position}" if position > 1 else "samples": name for position, name in enumerate(shown, 1)}
