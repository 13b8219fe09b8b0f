from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.uncertainty.propagation.traces.pca_copula import PCACopula
from ritz.compute.uncertainty.propagation.traces.pca_gaussian import PCAGaussian
from ritz.compute.uncertainty.propagation.traces.smoothed_bootstrap import SmoothedBootstrap
from ritz.compute.uncertainty.propagation.traces.trace_law import TraceLaw

SHIPPED: tuple[type[TraceLaw], ...] = (PCACopula, PCAGaussian, SmoothedBootstrap)
"""The laws that ship with Ritz."""

TRACE_LAWS = OneOf(TraceLaw, lambda: SHIPPED, group="ritz.trace_laws")
"""The shipped laws of traces, and those of installed packages."""

AnyTraceLaw = Annotated[TraceLaw, TRACE_LAWS]
"""Field type: any of them, or an instance of one's own class."""
