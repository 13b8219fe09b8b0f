from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.uncertainty.spread.choice import AutoSpread
from ritz.compute.uncertainty.spread.constant import Constant, FittedConstant
from ritz.compute.uncertainty.spread.defect import Defect, FittedDefect
from ritz.compute.uncertainty.spread.laplace import FittedLaplace, Laplace
from ritz.compute.uncertainty.spread.learnt import FittedLearnt, Learnt
from ritz.compute.uncertainty.spread.members import FittedMembers, Members
from ritz.compute.uncertainty.spread.spread import FittedSpread, Spread

SPREADS = OneOf(Spread, lambda: (AutoSpread, Defect, Learnt, Members, Laplace, Constant), group="ritz.spreads")
"""The shipped spreads, and those of installed packages."""

AnySpread = Annotated[Spread, SPREADS]
"""Field type: any shipped spread, or an instance of one's own class."""

AnyFittedSpread = Annotated[
    FittedSpread,
    OneOf(
        FittedSpread,
        lambda: (FittedDefect, FittedLearnt, FittedMembers, FittedLaplace, FittedConstant),
        group="ritz.fitted_spreads",
    ),
]
"""Field type: what is kept of any of them."""
