from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.spread.spread import FittedSpread, Shape, Spread


class FittedConstant(FittedSpread):
    """One width for all samples and points of an output, in units of that output."""

    kind: Literal["constant"] = "constant"
    widths: dict[str, float]

    def shape(self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray]) -> Shape:
        """Return the same width everywhere; see `FittedSpread.shape`."""
        del inputs
        return Shape(prediction, {name: np.full(prediction[name].shape, width) for name, width in self.widths.items()})


class Constant(Spread):
    """Bands of the same width everywhere: the mean absolute error of the validation samples."""

    kind: Literal["constant"] = "constant"

    def fit(self, validate: Predicted, about: About) -> FittedConstant:
        """Take the mean errors; see `Spread.fit`."""
        del about
        if len(validate) == 0:
            raise ValueError("there is no validation sample to learn the width on; give the validate split a share")
        return FittedConstant(widths={name: float(validate.error(name).mean()) or 1.0 for name in validate.prediction})
