from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse.linalg import LinearOperator

from ritz.compute.solvers.iterative.guard import APPLICATION
from ritz.compute.solvers.operators import Operators

Product = Callable[[np.ndarray], np.ndarray]
"""Takes a contiguous vector of an operator's own dtype, gives a new one."""


class Columnwise(LinearOperator):  # type: ignore[misc]  # SciPy has no types
    """A LinearOperator from a product with one vector of its dtype.

    Blocks are done column by column, and complex vectors with a real operator in two parts.

    Parameters
    ----------
    product
        Applies the operator to a contiguous ``(size,)`` vector of ``dtype``.
    size, dtype
        Of the square operator.
    """

    def __init__(self, product: Product, size: int, dtype: np.dtype) -> None:
        super().__init__(dtype, (size, size))
        self._product = product

    def _matvec(self, v: np.ndarray) -> np.ndarray:
        v = v.ravel()
        if np.iscomplexobj(v) and self.dtype.kind != "c":
            return self._product(v.real.copy()) + 1j * self._product(v.imag.copy())
        return self._product(np.ascontiguousarray(v, dtype=self.dtype))

    def _matmat(self, block: np.ndarray) -> np.ndarray:
        return np.array([self._matvec(column) for column in block.T]).reshape(block.shape[::-1]).T


class ApproximateInverse(Columnwise):
    """Approximate inverse ``M`` of operator ``i`` of a family, as Krylov methods take it.

    Parameters
    ----------
    solve
        Applies ``M``.
    operators, i
        What it is for.
    image
        Applies ``A M``, if that can be done for less than one after the other.
    made, applied
        Work of making it, and of one application of ``A M`` with what else a step of a Krylov method does, in passes;
        see `ritz.compute.solvers.preconditioners.work`.
    """

    def __init__(
        self,
        solve: Product,
        operators: Operators,
        i: int,
        image: Product | None = None,
        *,
        made: float = 0.0,
        applied: float = APPLICATION,
    ) -> None:
        super().__init__(solve, operators.pattern.size, operators.dtype)
        self._operators, self._i, self._composed = operators, i, image
        self.made, self.applied = made, applied

    def image(self) -> LinearOperator:
        """Return ``A M`` as one operator."""
        product = self._composed
        if product is None:
            matrix, solve = self._operators.csr(self._i), self._product
            return Columnwise(lambda v: matrix @ solve(v), self.shape[0], self.dtype)
        return Columnwise(product, self.shape[0], self.dtype)
