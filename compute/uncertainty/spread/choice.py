from __future__ import annotations

import logging
from typing import Literal

from ritz.compute.uncertainty.spread.defect import Defect
from ritz.compute.uncertainty.spread.learnt import Learnt
from ritz.compute.uncertainty.spread.spread import FittedSpread, Spread, Unsuitable
from ritz.compute.uncertainty.uncertainty import About, Predicted

log = logging.getLogger("ritz")


class AutoSpread(Spread):
    """The error by the equations where a step of the problem's iteration is to be had, else a learnt width."""

    kind: Literal["auto"] = "auto"

    def fit(self, validate: Predicted, about: About) -> FittedSpread:
        """Try `Defect`, and say why where it is not taken; see `Spread.fit`."""
        try:
            return Defect().fit(validate, about)
        except Unsuitable as reason:
            log.info("uncertainty: the width of the bands is learnt: %s", reason)
            return Learnt().fit(validate, about)
