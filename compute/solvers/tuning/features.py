"""What a system is like, in a few numbers that every matrix has."""

from __future__ import annotations

import numpy as np

from ritz.compute.solvers.operators import Operators

_FLOOR = 1e-3
"""Dominance below which systems count as alike."""

TERMS = 3
"""Terms of a quadratic in the feature."""


def dominance(operators: Operators, i: int) -> float:
    """Return by what the diagonal of an operator exceeds the other entries, as a share of the diagonal.

    ``2 − Σ|a_ij| / Σ|a_ii|``: 1 for a diagonal matrix; for diffusion the share of what holds the solution, the walls
    and a shift such as that of a time step, which is what the iterations of a stationary method depend on.
    """
    diagonal = float(np.abs(operators.diagonal(i)).sum())
    return 2 - float(np.abs(operators.entries(i)).sum()) / diagonal if diagonal else 0.0


def terms(operators: Operators, i: int) -> np.ndarray:
    """Return ``(1, z, z²)`` of a system, with ``z = 2 log₁₀(10 δ)`` of its dominance ``δ``, −4 to 2."""
    z = 2 * np.log10(10 * max(dominance(operators, i), _FLOOR))
    return np.array([1.0, z, z * z])
