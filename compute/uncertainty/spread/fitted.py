from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.uncertainty.spread.constant import FittedConstant
from ritz.compute.uncertainty.spread.defect import FittedDefect
from ritz.compute.uncertainty.spread.laplace import FittedLaplace
from ritz.compute.uncertainty.spread.learnt import FittedLearnt
from ritz.compute.uncertainty.spread.members import FittedMembers
from ritz.compute.uncertainty.spread.spread import FittedSpread

GROUP = "ritz.fitted_spreads"

FITTED: tuple[type[FittedSpread], ...] = (FittedDefect, FittedLearnt, FittedMembers, FittedLaplace, FittedConstant)
"""What is kept of each shipped spread."""

AnyOneSpread = Annotated[FittedSpread, OneOf(FittedSpread, lambda: FITTED, group=GROUP)]
"""Field type: what is kept of one spread, as it was found."""
