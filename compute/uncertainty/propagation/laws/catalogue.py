from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.uncertainty.propagation.laws.empirical import Empirical
from ritz.compute.uncertainty.propagation.laws.input_law import InputLaw
from ritz.compute.uncertainty.propagation.traces.catalogue import SHIPPED

INPUT_LAWS = OneOf(InputLaw, lambda: (Empirical, *SHIPPED), group="ritz.trace_laws")
"""The empirical law, the shipped laws of traces, and those of installed packages."""

AnyInputLaw = Annotated[InputLaw, INPUT_LAWS]
"""Field type: any of them, or an instance of one's own class."""
