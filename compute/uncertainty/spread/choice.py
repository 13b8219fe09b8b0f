from __future__ import annotations

import logging
from typing import Literal

from ritz.compute.uncertainty.predicted import About, Predicted
from ritz.compute.uncertainty.spread.defect import Defect
from ritz.compute.uncertainty.spread.learnt import Learnt
from ritz.compute.uncertainty.spread.spread import FittedSpread, Spread, Unsuitable

log = logging.getLogger("ritz")

DEAR = {"recycled"}
"""Solvers whose answers for an estimate take more than half of those for a solve: measured for waves in a medium."""


class AutoSpread(Spread):
    """The error by the equations where a step of the problem's iteration is to be had, else a learnt width."""

    kind: Literal["auto"] = "auto"

    def fit(self, validate: Predicted, about: About) -> FittedSpread:
        """Try `Defect`, and say why where it is not taken; see `Spread.fit`."""
        try:
            fitted = Defect().fit(validate, about)
            if DEAR & set(fitted.solvers):
                raise Unsuitable(f"a step by {' and '.join(fitted.solvers)} takes more than half of a solve")
        except Unsuitable as reason:
            log.info("uncertainty: the width of the bands is learnt: %s", reason)
            return Learnt().fit(validate, about).model_copy(update={"reason": str(reason)})
        return fitted
