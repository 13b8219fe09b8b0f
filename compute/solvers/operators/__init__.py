"""Batches of linear operators, and how they store their entries.

What is imported here is public, everything else inner working.
"""

from ritz.compute.solvers.operators.matrices import Matrices
from ritz.compute.solvers.operators.operators import Operators, Pattern
from ritz.compute.solvers.operators.stencil import Stencil

__all__ = ["Matrices", "Operators", "Pattern", "Stencil"]
