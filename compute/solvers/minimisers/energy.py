from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from ritz.compute.solvers.operators import Operators


class Energy(ABC):
    """Convex energies of a block of samples, one each: what a `Minimiser` is given.

    Each row of what comes back depends on its own sample alone.
    """

    @abstractmethod
    def value(self, x: np.ndarray) -> np.ndarray:
        """Return the energies ``(n,)`` float64 of fields ``(n, *shape)`` float64."""

    @abstractmethod
    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return the derivatives of the energies by the values of the fields, ``(n, *shape)`` float64."""

    @abstractmethod
    def hessian(self, x: np.ndarray) -> Operators:
        """Return the second derivatives, symmetric definite, one operator per sample."""

    def metric(self) -> Operators:
        """Return the inner product in which a steepest descent is steepest: operators, symmetric definite.

        The discrete −Δ, say, the same for all samples and at all places.

        Raises
        ------
        NotImplementedError
            If there is none but the Euclidean one.
        """
        raise NotImplementedError(f"{type(self).__name__} has no metric, expected a method that returns operators")
