"""Krylov methods with the signatures and semantics of `scipy.sparse.linalg`.

What is imported here is public, everything else inner working. Only `gcrodr` takes a ``recycler``: it makes the space
of harmonic Ritz vectors that is handed on while it solves; the others have none to hand on.
"""

from ritz.compute.solvers.krylov.biconjugate_gradients import bicgstab
from ritz.compute.solvers.krylov.conjugate_gradients import cg
from ritz.compute.solvers.krylov.minimal_residuals import gcrodr, gmres

__all__ = ["bicgstab", "cg", "gcrodr", "gmres"]
