from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ritz.compute.solvers.iterative.guard import Guard


@dataclass
class Recycler:
    """State of a recycling Krylov solver along a sequence of systems.

    Give the same object to `ritz.compute.solvers.krylov.gcrodr` for one system after the other: it takes the basis
    as its first recycle space and leaves a better one. It can be pickled; a copy goes on with the same bits.

    Attributes
    ----------
    basis
        ``(n, k)`` approximate harmonic Ritz vectors of ``A M`` for the eigenvalues of least modulus, in the
        preconditioned variables ``t`` of ``x = M t``; None before the first system and while a guard rests.
    iterations, matvecs
        What the last solve took: steps of the Arnoldi process, and applications of ``A`` in all, those to
        the basis and for true residuals included.
    work
        The same as the guard counts it, the new basis included; of solves that recycle nothing too.
    guard
        Decides which systems start from the basis; None: all of them.
    carried
        Whether the last solve started from the basis.
    """

    basis: np.ndarray | None = None
    iterations: int = 0
    matvecs: int = 0
    work: float = 0.0
    guard: Guard | None = None
    carried: bool = False

    def copy(self) -> Recycler:
        """Return an independent copy."""
        return replace(
            self,
            basis=None if self.basis is None else self.basis.copy(),
            guard=None if self.guard is None else replace(self.guard),
        )

    def begin(self) -> None:
        """Forget what the last solve took."""
        self.iterations, self.matvecs, self.work, self.carried = 0, 0, 0.0, False

    def start(self) -> np.ndarray | None:
        """Return the basis for the next system, None if it is to be solved cold."""
        basis = self.basis if self.guard is None or self.guard.carries else None
        self.carried = basis is not None
        return basis

    @property
    def keeps(self) -> bool:
        """Whether the next solve is to leave a basis."""
        return self.guard is None or self.guard.keeps

    def finish(self, basis: np.ndarray | None, work: float, handover: float, solved: bool) -> None:
        """Take note of a solve: the basis it leaves (None: the old one stays), its work, whether it converged."""
        self.work = work + handover
        if basis is not None:
            self.basis = basis
        if self.guard is not None and not self.guard.count(work, handover, solved):
            self.basis = None
