from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.uncertainty.spread.choice import AutoSpread
from ritz.compute.uncertainty.spread.constant import Constant
from ritz.compute.uncertainty.spread.defect import Defect
from ritz.compute.uncertainty.spread.fitted import FITTED, GROUP
from ritz.compute.uncertainty.spread.in_time import FittedInTime
from ritz.compute.uncertainty.spread.laplace import Laplace
from ritz.compute.uncertainty.spread.learnt import Learnt
from ritz.compute.uncertainty.spread.members import Members
from ritz.compute.uncertainty.spread.spread import FittedSpread, Spread

SPREADS = OneOf(Spread, lambda: (AutoSpread, Defect, Learnt, Members, Laplace, Constant), group="ritz.spreads")
"""The shipped spreads, and those of installed packages."""

AnySpread = Annotated[Spread, SPREADS]
"""Field type: any shipped spread, or an instance of one's own class."""

AnyFittedSpread = Annotated[FittedSpread, OneOf(FittedSpread, lambda: (*FITTED, FittedInTime), group=GROUP)]
"""Field type: what is kept of any of them, the same at all times or with factors by time."""
