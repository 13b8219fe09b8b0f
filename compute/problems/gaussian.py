from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy
from pydantic import Field

from ritz.compute.kind import Kind, in_units

LEADING = 64
"""Most coefficients of a random field that may be given; see `ritz.compute.problems.problem.Problem.leading`."""

Edges = Literal["free", "zero", "periodic"]
"""What a field does at the walls of the box: no slope across them, vanish, or go on at the opposite one."""


class Gaussian(Kind):
    """A Gaussian field on the unit box, of mean zero, with covariance proportional to (−Δ + τ²)^−α.

    −Δ is taken with Neumann conditions (edges ``"free"``), Dirichlet conditions (``"zero"``) or periodically; the
    problem that draws the field says which. With φ_k the orthonormal eigenfunctions, products over the axes of
    √2 cos(πkt), √2 sin(πkt), or plane waves cos θ + sin θ with θ = 2πk·x,

        g(x) = Σ ξ_k √λ_k φ_k(x),   λ_k ∝ (|ω_k|² + τ²)^−α,   ξ_k ~ N(0, 1),

    where ω_k is the wave vector. The constant is left out, and the λ are scaled so that the variance, averaged
    over the box, is 1. In d dimensions the field is continuous for α > d/2, and its slopes are for α > d/2 + 1.

    The same id gives the same field at any grid size: modes a grid cannot resolve are dropped from it.

    Source: the Gaussian measures of Li et al., "Fourier neural operator", ICLR 2021, A.3.
    """

    tau: float = Field(default=5.0, gt=0, le=1000)
    """Inverse correlation length τ."""
    alpha: float = Field(default=2.0, gt=1.5, le=20)
    """Smoothness α; above 3/2, so that the variance is finite in up to three dimensions."""
    modes: int = Field(default=32, ge=2, le=4096, json_schema_extra=in_units("modes"))
    """Cosines or sines along each axis; periodic, the largest number of waves a box."""

    def amplitudes(self, axes: int, edges: Edges) -> np.ndarray:
        """Return the standard deviations of the coefficients, float64, an axis of the array an axis of the box.

        Along each axis lie the wave numbers 0 … ``modes`` − 1 (free), 1 … ``modes`` (zero) or −``modes`` …
        ``modes`` (periodic).
        """
        if edges == "periodic":
            waves = 2 * np.pi * np.arange(-self.modes, self.modes + 1)
        else:
            waves = np.pi * (np.arange(self.modes) + (edges == "zero"))
        squares = sum(np.meshgrid(*[waves**2] * axes, indexing="ij", sparse=True))
        spectrum = np.where(squares > 0, (squares + self.tau**2) ** -self.alpha, 0.0)
        deviations: np.ndarray = np.sqrt(spectrum / spectrum.sum())
        return deviations

    def leading(self, axes: int, edges: Edges = "free") -> int:
        """Return how many leading coefficients may be given in a number of dimensions."""
        return leading(self.amplitudes(axes, edges))

    def draw(
        self,
        seed: int,
        ids: np.ndarray,
        shape: tuple[int, ...],
        edges: Edges = "free",
        stream: int = 0,
        given: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draw the fields of the samples ``ids`` at the cell centres of a grid.

        Parameters
        ----------
        seed
            Seed of the dataset, not negative.
        ids
            ``(n,)`` sample ids, not negative.
        shape
            Cells along each axis, at least 2.
        edges
            What the fields do at the walls.
        stream
            Number of the field within a sample, for problems that draw several; each has its own numbers, and
            all differ from those of `ritz.compute.problems.laws`.
        given
            Leading coefficients; see `ritz.compute.problems.problem.Problem.draw_at`.

        Returns
        -------
        g
            ``(n, *shape)`` float64.
        """
        amplitudes = self.amplitudes(len(shape), edges)
        synthesis = {"free": cosines, "zero": _sines, "periodic": _plane_waves}[edges]
        fields = np.empty((len(ids), *shape))
        for row, (field, sample) in enumerate(zip(fields, ids, strict=True)):
            normal = generator(seed, sample, stream).standard_normal(amplitudes.shape)
            lead(normal, amplitudes, None if given is None else given[row])
            field[...] = synthesis(normal * amplitudes, shape)
        return fields


def leading(amplitudes: np.ndarray) -> int:
    """Return how many leading coefficients of given standard deviations may be given: at most `LEADING`."""
    return min(LEADING, int(np.count_nonzero(amplitudes)))


def shared(counts: Sequence[int]) -> tuple[int, ...]:
    """Return how many leading coefficients each of several fields of a sample has, `LEADING` in all.

    Examples
    --------
    >>> shared((64, 64)), shared((8, 64))
    ((32, 32), (8, 32))
    """
    return tuple(min(count, LEADING // len(counts)) for count in counts)


def parted(given: np.ndarray | None, counts: Sequence[int]) -> tuple[np.ndarray | None, ...]:
    """Return the leading coefficients ``(n, k)`` of each of several fields, from those of all; None of none.

    Parameters
    ----------
    counts
        How many each field has at most; see `shared`.
    """
    return (None,) * len(counts) if given is None else tuple(np.split(given, np.cumsum(counts)[:-1], axis=1))


def lead(normal: np.ndarray, amplitudes: np.ndarray, given: np.ndarray | None) -> None:
    """Put given numbers in the place of the normal ones with the largest amplitudes.

    Parameters
    ----------
    normal
        Standard normal numbers, in the shape of ``amplitudes``; changed in place.
    given
        ``(k,)``, the values of the distribution function at the numbers, in (0, 1); None leaves all as they are.
    """
    if given is not None:
        largest = np.argsort(-amplitudes, axis=None, kind="stable")[: len(given)]
        normal.flat[largest] = scipy.special.ndtri(given)


def generator(seed: int, sample: int, stream: int) -> np.random.Generator:
    """Return the random numbers of a stream of a sample; see `Gaussian.draw`."""
    numbers = np.random.SeedSequence((seed, int(sample)), spawn_key=(1 + stream,))
    return np.random.Generator(np.random.Philox(numbers))


def cosines(coefficients: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum up products of 1, √2 cos(πt), √2 cos(2πt), and so on along every axis."""
    kept = tuple(slice(cells) for cells in shape)
    fields: np.ndarray = scipy.fft.idctn(coefficients[kept], s=shape, norm="ortho") * np.sqrt(np.prod(shape))
    return fields


def _sines(coefficients: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum up products of √2 sin(πt), √2 sin(2πt), and so on along every axis."""
    # The sine that changes sign from centre to centre has another norm than the rest.
    kept = tuple(slice(cells - 1) for cells in shape)
    fields: np.ndarray = scipy.fft.idstn(coefficients[kept], s=shape, norm="ortho") * np.sqrt(np.prod(shape))
    return fields


def _plane_waves(coefficients: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum up cos θ + sin θ with θ = 2πk·x, for wave numbers from below zero to above along every axis."""
    spectrum = np.zeros(shape, dtype=np.complex128)
    largest = coefficients.shape[0] // 2
    waves = [np.arange(-min(largest, (cells - 1) // 2), min(largest, (cells - 1) // 2) + 1) for cells in shape]
    # The centre of the first cell lies half a cell into the box.
    phase = sum(np.meshgrid(*(k / cells for k, cells in zip(waves, shape, strict=True)), indexing="ij", sparse=True))
    spectrum[np.ix_(*waves)] = coefficients[np.ix_(*(k + largest for k in waves))] * np.exp(-1j * np.pi * phase)
    total = scipy.fft.fftn(spectrum)
    fields: np.ndarray = total.real - total.imag
    return fields
