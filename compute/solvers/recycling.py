from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Recycler:
    """State of a recycling Krylov solver along a sequence of systems.

    Give the same object to `compute.solvers.krylov.gcrodr` for one system after the other: it takes the basis
    as its first recycle space and leaves a better one. It can be pickled; a copy goes on with the same bits.

    Attributes
    ----------
    basis
        ``(n, k)`` approximate harmonic Ritz vectors of ``A M`` for the eigenvalues of least modulus, in the
        preconditioned variables ``t`` of ``x = M t``; None before the first system.
    iterations, matvecs
        What the last solve took: steps of the Arnoldi process, and applications of ``A`` in all, those to
        the basis and for true residuals included.
    """

    basis: np.ndarray | None = None
    iterations: int = 0
    matvecs: int = 0

    def copy(self) -> Recycler:
        """Return an independent copy."""
        return Recycler(None if self.basis is None else self.basis.copy(), self.iterations, self.matvecs)

    def reset(self) -> None:
        """Forget everything, as before the first system."""
        self.basis, self.iterations, self.matvecs = None, 0, 0
