"""Krylov methods with the signatures and semantics of `scipy.sparse.linalg`; everything else here is inner working."""

from compute.solvers.krylov.biconjugate_gradients import bicgstab
from compute.solvers.krylov.conjugate_gradients import cg
from compute.solvers.krylov.minimal_residuals import gcrodr, gmres

__all__ = ["bicgstab", "cg", "gcrodr", "gmres"]
