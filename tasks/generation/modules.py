"""Names what workers load before they solve, for who starts them before there is anything to solve."""

from __future__ import annotations

AHEAD = ("ritz.tasks.generation.worker", "numba", "pandas", "xarray", "scipy.interpolate", "scipy.sparse.linalg")
"""Modules that start no thread when they are loaded; PyTorch is not among them, which solvers have no use for."""
