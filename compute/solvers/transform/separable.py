from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np
import scipy

from ritz.compute.solvers.transform.tridiagonal import factor, solve

_EXACT = 1e-12
"""Largest relative difference at which a stencil counts as one with constant coefficients."""

Wall = Literal["dirichlet", "neumann"]


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


def even(coefficients: np.ndarray) -> bool:
    """Whether the couplings of neighbours are constant along each axis, in each of some stencils ``(n, …, *shape)``.

    Whatever the term without derivatives does; nothing is said of the walls.
    """
    c = coefficients[:1] if coefficients.strides[0] == 0 else coefficients
    scale = np.abs(c[:, 0]).max(initial=0.0)
    for axis in range(c.ndim - 2):
        lower, upper = (np.moveaxis(c[:, 1 + 2 * axis + side], 1 + axis, 1) for side in (0, 1))
        for inner in (lower[:, 1:], upper[:, :-1]):
            axes = tuple(range(1, inner.ndim))
            if inner.size and np.ptp(inner, axis=axes).max() > _EXACT * scale:
                return False
    return True


def _walls(excess: np.ndarray, coupling: float) -> tuple[Wall, Wall]:
    """Tell the walls of the first axis by what a row there has more in sum than one inside: 2 couplings, or nothing."""
    inside = tuple(slice(1, -1) if n > 2 else slice(None) for n in excess.shape[1:])
    low, high = ("dirichlet" if float(excess[end][inside].mean()) > coupling else "neumann" for end in (0, -1))
    return low, high  # type: ignore[return-value]  # the loop gives two, each one of these words


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
    values: np.ndarray = transform(x, type=2 if lower == upper else 4, axis=axis, norm="ortho")
    return values


def _backward(x: np.ndarray, lower: Wall, upper: Wall, axis: int) -> np.ndarray:
    transform = scipy.fft.idst if lower == "dirichlet" else scipy.fft.idct
    values: np.ndarray = transform(x, type=2 if lower == upper else 4, axis=axis, norm="ortho")
    return values
