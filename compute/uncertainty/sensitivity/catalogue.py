from __future__ import annotations

from ritz.compute.kind import Kind, OneOf
from ritz.compute.uncertainty.sensitivity.sobol import SobolIndices
from ritz.compute.uncertainty.sensitivity.transport import TransportSensitivity

SENSITIVITIES = OneOf(Kind, lambda: (SobolIndices, TransportSensitivity))
"""The shipped indices. They share no contract: one sort has a design of its own, the other takes samples of any."""
