from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np

from ritz.compute.kind import Source
from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.spread.alignment import align, origin, space
from ritz.compute.uncertainty.spread.spread import Shape, Spread
from ritz.compute.uncertainty.spread.width import Width
from ritz.compute.uncertainty.spread.zoned import Zoned


class FittedLearnt(Zoned):
    """Widths that were learnt from the inputs and the prediction, with zones from the walls inwards.

    Attributes
    ----------
    widths
        By output.
    reason
        Why no other spread was taken, where that was tried; empty otherwise.
    """

    kind: Literal["learnt"] = "learnt"
    widths: dict[str, Width]
    reason: str = ""

    def shape(self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray]) -> Shape:
        """Return the learnt widths around the predictions; see `FittedSpread.shape`."""
        widths = {
            name: width.predict(align(inputs, name, self.dimensions), prediction[name])
            for name, width in self.widths.items()
        }
        return Shape(prediction, widths)

    def made(self) -> str:
        """Return how the widths were learnt; see `FittedSpread.made`."""
        zones = ", with factors of their own for the cells near the walls" if self.zoned else ""
        why = f" Not by the equations: {self.reason}." if self.reason else ""
        return f"The width of a band was learnt from inputs and prediction{zones}.{why}"


class Learnt(Spread):
    """Widths that are learnt from the inputs and the prediction; see `ritz.compute.uncertainty.spread.width.Width`.

    Cells near a wall, where errors are unlike those inside, get factors of their own: each ring of cells keeps the
    level by itself.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "V. Vovk, D. Lindsay, I. Nouretdinov, A. Gammerman",
            "Mondrian confidence machine",
            2003,
            "Royal Holloway, University of London",
        ),
    )

    kind: Literal["learnt"] = "learnt"
    zones: bool = True
    """Whether the cells near the walls of a grid get factors of their own."""

    def fit(self, validate: Predicted, about: About) -> FittedLearnt:
        """Learn the widths; see `Spread.fit`."""
        logs = {name for name, kind in about.transforms.items() if kind == "log"}
        mesh = about.dimensions is not None and about.dimensions.mesh
        widths = {}
        for name in sorted(validate.prediction):
            learnt = align(validate.inputs, name, about.dimensions)
            widths[name] = Width.fit(
                learnt,
                validate.prediction[name],
                validate.error(name),
                logs=tuple(sorted(key for key in learnt if origin(key) in logs)),
                space=space(name, about.dimensions),
                mesh=mesh,
            )
        return FittedLearnt(widths=widths, dimensions=about.dimensions, by_zone=self.zones)
