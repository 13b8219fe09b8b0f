from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np
import scipy.fft
import scipy.sparse.linalg as spla
from pydantic import Field

from compute.solvers.krylov import cg, gmres
from compute.solvers.operators import Stencil
from compute.solvers.sequential import Attempt, Sequential
from compute.solvers.systems import Systems

_MARGIN = 0.999
_EXACT = 1e-12
"""Largest relative difference at which a stencil counts as one with constant coefficients."""

Wall = Literal["dirichlet", "neumann"]


class Transform(Sequential):
    """Fast sine and cosine transforms: a direct solver for constant coefficients, a preconditioner for others.

    Cell-centred stencils with constant coefficients and a Dirichlet or Neumann wall on each side are diagonal in
    products of sines and cosines (DST-II, DCT-II, and the transforms of type IV where the two walls of an axis
    differ). Where the coefficients vary, the stencil of their means is the preconditioner: of conjugate
    gradients if the systems are symmetric and both are definite, of GMRES otherwise. ``iterations`` in the
    ledger counts theirs, 0 for a direct solve.

    Sources: G. Strang, "The discrete cosine transform", SIAM Review 41 (1999); P. Concus, G. Golub, "Use of fast
    direct methods for the efficient numerical solution of nonseparable elliptic equations", SIAM J. Numer.
    Anal. 10 (1973).
    """

    kind: Literal["transform"] = "transform"
    restart: int = Field(default=60, ge=2, le=1000)
    """Dimension of the Krylov space of one cycle of GMRES."""
    maxiter: int = Field(default=300, ge=1, le=100_000)
    """Iterations after which a system is given up."""

    def lacks(self, systems: Systems) -> str:
        """Return what keeps it from solving such systems; see `Solver.lacks`."""
        if not isinstance(systems.operators, Stencil):
            return "transforms need stencils on a grid"
        if systems.operators.dtype.kind == "c":
            return "transforms need real operators"
        return ""

    def together(self, systems: Systems) -> np.ndarray | None:
        """Answer all systems at once if they share constant coefficients; see `Sequential.together`."""
        operators = systems.operators
        if not operators.constant or not isinstance(operators, Stencil) or self.lacks(systems) or not len(systems):
            return None
        model = Separable.of(operators.coefficients[0])
        return model.solve(systems.rhs) if model.exact and model.regular else None

    def attempt(self, systems: Systems, i: int, *, rtol: float, carry: None) -> tuple[Attempt, None]:
        """Answer one system; see `Sequential.attempt`. There is nothing to carry."""
        operators, rhs = systems.operators, systems.rhs[i]
        assert isinstance(operators, Stencil)
        model = Separable.of(operators.coefficients[i])
        if not model.regular:
            return Attempt(None, 0, 0, "breakdown"), carry
        if model.exact:
            return Attempt(model.solve(rhs).ravel(), 0, 0), carry
        size = rhs.size
        counts = {"A": 0, "M": 0}

        def product(x: np.ndarray) -> np.ndarray:
            counts["A"] += 1
            return operators.matvec(i, x.ravel())

        def approximate(x: np.ndarray) -> np.ndarray:
            counts["M"] += 1
            return model.solve(x.reshape(rhs.shape)).ravel()

        dtype = np.result_type(operators.dtype, rhs.dtype)
        A = spla.LinearOperator((size, size), matvec=product, dtype=dtype)
        M = spla.LinearOperator((size, size), matvec=approximate, dtype=dtype)
        x0 = None if systems.guess is None else systems.guess[i].ravel()
        if operators.symmetric and operators.definite and model.definite:
            x, info = cg(A, rhs.ravel(), x0, rtol=_MARGIN * rtol, maxiter=self.maxiter, M=M)
        else:
            cycles = -(-self.maxiter // self.restart)
            x, info = gmres(A, rhs.ravel(), x0, rtol=_MARGIN * rtol, restart=self.restart, maxiter=cycles, M=M)
        reason = "" if info == 0 else "not_converged"
        return Attempt(x, counts["M"], counts["A"], reason), carry


@dataclass(frozen=True)
class Separable:
    """A stencil with constant coefficients, and how it is diagonalised.

    Attributes
    ----------
    eigenvalues
        In the shape of the grid, in the order of the transforms.
    walls
        The lower and the upper wall of each axis.
    difference
        Largest difference from the stencil it stands for, relative to that one's largest coefficient.
    """

    eigenvalues: np.ndarray
    walls: tuple[tuple[Wall, Wall], ...]
    difference: float

    @classmethod
    def of(cls, coefficients: np.ndarray) -> Separable:
        """Take the means of a stencil ``(1 + 2 d, *shape)``."""
        shape = coefficients.shape[1:]
        axes = len(shape)
        couplings, walls = [], []
        sums = coefficients.sum(axis=0)
        inner = sums[(slice(1, -1),) * axes]
        shift = float(inner.mean()) if inner.size else 0.0
        model = np.zeros_like(coefficients)
        model[0] = shift
        for axis in range(axes):
            lower = np.moveaxis(coefficients[1 + 2 * axis], axis, 0)
            upper = np.moveaxis(coefficients[2 + 2 * axis], axis, 0)
            coupling = -0.5 * float(lower[1:].mean() + upper[:-1].mean()) if shape[axis] > 1 else 0.0
            couplings.append(coupling)
            sides: list[Wall] = []
            for end in (0, -1):
                # What a row lacks to the sum of an inner row: 2 couplings at half a cell to a given value.
                at_wall = np.moveaxis(sums, axis, 0)[end]
                middle = at_wall[(slice(1, -1),) * (axes - 1)] if min(shape) > 2 else at_wall
                sides.append("dirichlet" if float(middle.mean()) - shift > coupling else "neumann")
            walls.append((sides[0], sides[1]))
            line = np.moveaxis(model, 1 + axis, 1)
            line[1 + 2 * axis, 1:] = line[2 + 2 * axis, :-1] = -coupling
            line[0, 1:] += coupling
            line[0, :-1] += coupling
            for side, end in zip(sides, (0, -1), strict=True):
                line[0, end] += 2 * coupling if side == "dirichlet" else 0.0
        lines = [_eigenvalues(n, w, c) for n, w, c in zip(shape, walls, couplings, strict=True)]
        scale = float(np.abs(coefficients).max()) or 1.0
        return cls(
            reduce(np.add.outer, lines) + shift,
            tuple(walls),
            float(np.abs(model - coefficients).max()) / scale,
        )

    @property
    def exact(self) -> bool:
        """Whether it is the stencil it stands for, but for rounding."""
        return self.difference <= _EXACT

    @property
    def regular(self) -> bool:
        """Whether it can be inverted: no eigenvalue is zero but for rounding."""
        sizes = np.abs(self.eigenvalues)
        return bool(sizes.min() > 1e-13 * sizes.max())

    @property
    def definite(self) -> bool:
        """Whether all eigenvalues are positive."""
        return bool(self.eigenvalues.min() > 0)

    def solve(self, rhs: np.ndarray) -> np.ndarray:
        """Solve for right-hand sides ``(..., *shape)``."""
        axes = len(self.walls)
        x = rhs
        for axis, (lower, upper) in enumerate(self.walls, start=-axes):
            x = _forward(x, lower, upper, axis)
        x = x / self.eigenvalues
        for axis, (lower, upper) in enumerate(self.walls, start=-axes):
            x = _backward(x, lower, upper, axis)
        return x


def _eigenvalues(cells: int, walls: tuple[Wall, Wall], coupling: float) -> np.ndarray:
    first = {("dirichlet", "dirichlet"): 1.0, ("neumann", "neumann"): 0.0}.get(walls, 0.5)
    return 2 * coupling * (1 - np.cos(np.pi * (np.arange(cells) + first) / cells))


def _forward(x: np.ndarray, lower: Wall, upper: Wall, axis: int) -> np.ndarray:
    transform = scipy.fft.dst if lower == "dirichlet" else scipy.fft.dct
    return transform(x, type=2 if lower == upper else 4, axis=axis, norm="ortho")


def _backward(x: np.ndarray, lower: Wall, upper: Wall, axis: int) -> np.ndarray:
    transform = scipy.fft.idst if lower == "dirichlet" else scipy.fft.idct
    return transform(x, type=2 if lower == upper else 4, axis=axis, norm="ortho")
