from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar, Literal

import numpy as np
import scipy
from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.solvers.composed import MARGIN, reason
from ritz.compute.solvers.expectation import extent
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.sequential import Attempt, Sequential
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.tridiagonal import factor, solve

_EXACT = 1e-12
"""Largest relative difference at which a stencil counts as one with constant coefficients."""

_LOOKED_AT = 5
"""Operators whose coefficients are looked at: one may be far from the others."""

Wall = Literal["dirichlet", "neumann"]


class Transform(Sequential):
    """Fast sine and cosine transforms: a direct solver for constant coefficients, a preconditioner for others.

    Cell-centred stencils with constant coefficients and a Dirichlet or Neumann wall on each side are diagonal in
    products of sines and cosines (DST-II, DCT-II, and the transforms of type IV where the two walls of an axis
    differ); along the first axis of a definite one tridiagonal systems are solved instead. Where the coefficients
    vary, the stencil of their means is the preconditioner: of conjugate gradients if the systems are symmetric and
    both are definite, of GMRES otherwise. ``iterations`` in the ledger counts theirs, 0 for a direct solve.

    Sources: G. Strang, "The discrete cosine transform", SIAM Review 41 (1999); P. Concus, G. Golub, "Use of fast
    direct methods for the efficient numerical solution of nonseparable elliptic equations", SIAM J. Numer.
    Anal. 10 (1973).
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source("G. Strang", "The discrete cosine transform", 1999, "SIAM Review 41"),
        Source(
            "P. Concus, G. Golub",
            "Use of fast direct methods for the efficient numerical solution of nonseparable elliptic equations",
            1973,
            "SIAM J. Numer. Anal. 10",
        ),
    )

    kind: Literal["transform"] = "transform"
    restart: int = Field(default=60, ge=2, le=1000, json_schema_extra=in_units("vectors"))
    """Dimension of the Krylov space of one cycle of GMRES."""
    maxiter: int = Field(default=300, ge=1, le=100_000, json_schema_extra=in_units("iterations"))
    """Iterations after which a system is given up."""

    def unfit(self, systems: Systems) -> str:
        """Return what keeps it from solving such systems; see `Solver.unfit`."""
        if not isinstance(systems.operators, Stencil):
            return "transforms need stencils on a grid"
        if systems.operators.dtype.kind == "c":
            return "transforms need real operators"
        return ""

    def expected(self, systems: Systems) -> float | None:
        """Estimate the seconds per system; see `Solver.expected`."""
        operators = systems.operators
        if not isinstance(operators, Stencil):
            return None
        unknowns, solid, _ = extent(operators)
        if Separable.of(operators.coefficients[0]).exact:
            return unknowns * (1.2e-8 if operators.constant else 3e-8)
        iterations = np.mean([_concus_golub(operators, i) for i in range(min(len(operators), _LOOKED_AT))])
        if operators.symmetric and operators.definite:
            return float(unknowns * (3.5e-8 if solid else 1.8e-8) * iterations)
        # Measured: GMRES takes about four times as many where systems are indefinite or not symmetric.
        return float(unknowns * 4.5e-8 * 4 * iterations)

    def together(self, systems: Systems) -> np.ndarray | None:
        """Answer all systems at once if they share constant coefficients; see `Sequential.together`."""
        operators = systems.operators
        if not operators.constant or not isinstance(operators, Stencil) or self.unfit(systems) or len(systems) < 2:
            return None
        model = Separable.of(operators.coefficients[0])
        return model.inverse()(systems.rhs) if model.exact and model.regular else None

    def attempt(self, systems: Systems, i: int, *, rtol: float, carry: None) -> tuple[Attempt, None]:
        """Answer one system; see `Sequential.attempt`. There is nothing to carry."""
        operators, rhs = systems.operators, systems.rhs[i]
        assert isinstance(operators, Stencil)
        model = Separable.of(operators.coefficients[i])
        if not model.regular:
            return Attempt(None, 0, 0, "breakdown"), carry
        if model.exact:
            return Attempt(model.inverse()(rhs).ravel(), 0, 0), carry
        from ritz.compute.solvers import krylov

        size = rhs.size
        counts = {"A": 0, "M": 0}
        inverse = model.inverse()

        def product(x: np.ndarray) -> np.ndarray:
            counts["A"] += 1
            return operators.matvec(i, x.ravel())

        def approximate(x: np.ndarray) -> np.ndarray:
            counts["M"] += 1
            return inverse(x.reshape(rhs.shape)).ravel()

        dtype = np.result_type(operators.dtype, rhs.dtype)
        A = scipy.sparse.linalg.LinearOperator((size, size), matvec=product, dtype=dtype)
        M = scipy.sparse.linalg.LinearOperator((size, size), matvec=approximate, dtype=dtype)
        x0 = None if systems.guess is None else systems.guess[i].ravel()
        if operators.symmetric and operators.definite and model.definite:
            x, info = krylov.cg(A, rhs.ravel(), x0, rtol=MARGIN * rtol, maxiter=self.maxiter, M=M)
        else:
            cycles = -(-self.maxiter // self.restart)
            x, info = krylov.gmres(A, rhs.ravel(), x0, rtol=MARGIN * rtol, restart=self.restart, maxiter=cycles, M=M)
        return Attempt(x, counts["M"], counts["A"], reason(info)), carry


@dataclass(frozen=True)
class Separable:
    """A stencil with constant coefficients, and how it is inverted.

    Attributes
    ----------
    lines
        Eigenvalues of the second differences along each axis, in the order of the transforms.
    couplings
        Minus the coupling of neighbours along each axis.
    shift
        Coefficient of the term without derivatives.
    walls
        The lower and the upper wall of each axis.
    difference
        Largest difference from the stencil it stands for, relative to that one's largest coefficient.
    """

    lines: tuple[np.ndarray, ...]
    couplings: tuple[float, ...]
    shift: float
    walls: tuple[tuple[Wall, Wall], ...]
    difference: float

    @classmethod
    def of(cls, coefficients: np.ndarray) -> Separable:
        """Take the means of a stencil ``(1 + 2 d, *shape)``."""
        shape = coefficients.shape[1:]
        sums = coefficients.sum(axis=0)
        inner = sums[tuple(slice(1, -1) if n > 2 else slice(None) for n in shape)]
        shift = float(inner.mean())
        couplings, walls = [], []
        difference = 0.0
        for axis, n in enumerate(shape):
            lower = np.moveaxis(coefficients[1 + 2 * axis], axis, 0)[1:]
            upper = np.moveaxis(coefficients[2 + 2 * axis], axis, 0)[:-1]
            coupling = -0.5 * float(lower.mean() + upper.mean()) if n > 1 else 0.0
            sides = _walls(np.moveaxis(sums, axis, 0) - shift, coupling)
            for values in (lower, upper):
                if n > 1:
                    difference = max(difference, abs(values.min() + coupling), abs(values.max() + coupling))
            couplings.append(coupling)
            walls.append(sides)
        apart = _diagonal(shape, couplings, shift, walls) - coefficients[0]
        difference = max(difference, apart.max(), -apart.min())
        lines = [_eigenvalues(n, w, c) for n, w, c in zip(shape, walls, couplings, strict=True)]
        scale = float(np.abs(coefficients).max()) or 1.0
        return cls(tuple(lines), tuple(couplings), shift, tuple(walls), float(difference) / scale)

    @property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues in the shape of the grid."""
        values: np.ndarray = reduce(np.add.outer, self.lines) + self.shift
        return values

    @property
    def diagonal(self) -> np.ndarray:
        """Its diagonal in the shape of the grid."""
        return _diagonal(tuple(len(line) for line in self.lines), self.couplings, self.shift, self.walls)

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
        return bool(sum(line.min() for line in self.lines) + self.shift > 0)

    def inverse(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return what solves for right-hand sides ``(..., *shape)``.

        All axes are transformed, but a definite stencil is solved along the first one by elimination, which takes
        less than a transform.
        """
        shape = tuple(len(line) for line in self.lines)
        axes = len(shape)
        if not self.definite or shape[0] < 2:
            eigenvalues = self.eigenvalues

            def diagonalise(x: np.ndarray) -> np.ndarray:
                for axis in range(-axes, 0):
                    x = _forward(x, *self.walls[axis], axis)
                x = x / eigenvalues
                for axis in range(-axes, 0):
                    x = _backward(x, *self.walls[axis], axis)
                return x

            return diagonalise
        coupling = self.couplings[0]
        shifts = np.ravel(reduce(np.add.outer, self.lines[1:], np.full((), self.shift)))
        ends = np.array([3 * coupling if side == "dirichlet" else coupling for side in self.walls[0]])
        pivots = np.empty((shape[0], len(shifts)))
        factor(ends, 2 * coupling, coupling, shifts, pivots)

        def eliminate(x: np.ndarray) -> np.ndarray:
            if np.iscomplexobj(x):
                return eliminate(x.real) + 1j * eliminate(x.imag)
            answers = np.empty(x.shape)
            # One right-hand side at a time stays in cache.
            for rhs, answer in zip(x.reshape(-1, *shape), answers.reshape(-1, *shape), strict=True):
                y = rhs
                for axis in range(1 - axes, 0):
                    y = _forward(y, *self.walls[axis], axis)
                answer[...] = y
                solve(pivots, coupling, answer.reshape(pivots.shape))
                y = answer
                for axis in range(1 - axes, 0):
                    y = _backward(y, *self.walls[axis], axis)
                answer[...] = y
            return answers

        return eliminate


def _walls(excess: np.ndarray, coupling: float) -> tuple[Wall, Wall]:
    """Tell the walls of the first axis by what a row there has more in sum than one inside: 2 couplings, or nothing."""
    inside = tuple(slice(1, -1) if n > 2 else slice(None) for n in excess.shape[1:])
    low, high = ("dirichlet" if float(excess[end][inside].mean()) > coupling else "neumann" for end in (0, -1))
    return low, high  # type: ignore[return-value]


def _diagonal(
    shape: Sequence[int], couplings: Sequence[float], shift: float, walls: Sequence[tuple[Wall, Wall]]
) -> np.ndarray:
    found = np.full(shape, shift)
    for axis, (coupling, sides) in enumerate(zip(couplings, walls, strict=True)):
        line = np.moveaxis(found, axis, 0)
        line[1:] += coupling
        line[:-1] += coupling
        for side, end in zip(sides, (0, -1), strict=True):
            line[end] += 2 * coupling if side == "dirichlet" else 0.0
    return found


def _eigenvalues(cells: int, walls: tuple[Wall, Wall], coupling: float) -> np.ndarray:
    first = {("dirichlet", "dirichlet"): 1.0, ("neumann", "neumann"): 0.0}.get(walls, 0.5)
    return 2 * coupling * (1 - np.cos(np.pi * (np.arange(cells) + first) / cells))


def _forward(x: np.ndarray, lower: Wall, upper: Wall, axis: int) -> np.ndarray:
    transform = scipy.fft.dst if lower == "dirichlet" else scipy.fft.dct
    return transform(x, type=2 if lower == upper else 4, axis=axis, norm="ortho")


def _backward(x: np.ndarray, lower: Wall, upper: Wall, axis: int) -> np.ndarray:
    transform = scipy.fft.idst if lower == "dirichlet" else scipy.fft.idct
    return transform(x, type=2 if lower == upper else 4, axis=axis, norm="ortho")


def _concus_golub(operators: Stencil, i: int) -> float:
    """Bound the iterations with a constant stencil as preconditioner by how far its diagonal is from a multiple.

    For diffusion the quotients of the operators' quadratic forms lie between the smallest and the largest quotient
    of their coefficients, so the bound of conjugate gradients with that condition number holds (P. Concus,
    G. Golub, 1973).
    """
    ratio = operators.diagonal(i) / Separable.of(operators.coefficients[i]).diagonal
    least, most = float(ratio.min()), float(ratio.max())
    if not 0 < least <= most < np.inf:
        return np.inf
    root = np.sqrt(most / least)
    return float(np.log(2e8) / np.log((root + 1) / (root - 1))) if root > 1 else 1.0
