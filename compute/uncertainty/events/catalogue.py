from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.uncertainty.events.calibeating import Calibeating
from ritz.compute.uncertainty.events.online_gradient import OnlineGradient
from ritz.compute.uncertainty.events.online_newton import OnlineNewton
from ritz.compute.uncertainty.events.platt import Platt
from ritz.compute.uncertainty.events.recalibration import Recalibration

RECALIBRATIONS = OneOf(
    Recalibration, lambda: (OnlineGradient, OnlineNewton, Platt, Calibeating), group="ritz.recalibrations"
)
"""The shipped recalibrations of events, and those of installed packages."""

AnyRecalibration = Annotated[Recalibration, RECALIBRATIONS]
"""Field type: any of them, or an instance of one's own class."""
