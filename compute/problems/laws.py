from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy.fft import idctn

from compute.kind import Kind, OneOf


class Law(Kind, ABC):
    """A distribution of random fields on the unit square, sampled at the centres of any grid."""

    kind: str

    @abstractmethod
    def draw(self, seed: int, ids: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Draw the fields of the samples ``ids``, ``(n, *shape)`` float64.

        Each id draws its own numbers and is transformed by itself, so an id has the same bits in any block,
        order and process on one kind of processor.
        """


class Lognormal(Law):
    """Exponential of a Gaussian field with covariance proportional to (−Δ + τ²)^−α.

    −Δ is taken with Neumann conditions on the unit square, so the eigenfunctions are products of cosines and

        log a(y, x) = σ Σ ξ_kl √λ_kl φ_k(y) φ_l(x),   λ_kl ∝ (π²(k² + l²) + τ²)^−α,   ξ_kl ~ N(0, 1),

    with φ_k(t) = √2 cos(πkt), 0 ≤ k, l < ``modes``. The constant k = l = 0 is left out: it would only scale a
    whole field. The λ are scaled so that the variance of log a, averaged over the square, is σ². With the
    defaults max a / min a is about 100.

    The same id gives the same field at any grid size: modes a grid cannot resolve are dropped from it.

    Source: the Gaussian measures of Li et al., "Fourier neural operator", ICLR 2021, A.3.2.
    """

    kind: Literal["lognormal"] = "lognormal"
    tau: float = Field(default=3.0, gt=0, le=1000)
    """Inverse correlation length τ."""
    alpha: float = Field(default=2.0, gt=1, le=20)
    """Smoothness α; above 1, so that the variance is finite in two dimensions."""
    sigma: float = Field(default=1.0, gt=0, le=5)
    """Standard deviation of log a."""
    modes: int = Field(default=64, ge=2, le=4096)
    """Cosines in each direction."""

    def amplitudes(self) -> np.ndarray:
        """Return the standard deviations of the cosine coefficients of log a, ``(modes, modes)`` float64."""
        k = np.arange(self.modes, dtype=np.float64)
        spectrum = (np.pi**2 * (k[:, None] ** 2 + k**2) + self.tau**2) ** -self.alpha
        spectrum[0, 0] = 0
        return self.sigma * np.sqrt(spectrum / spectrum.sum())

    def draw(self, seed: int, ids: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Draw the fields of the samples ``ids`` at the cell centres of a grid.

        Parameters
        ----------
        seed
            Seed of the dataset, not negative.
        ids
            ``(n,)`` sample ids, not negative.
        shape
            Cells along y and x.

        Returns
        -------
        a
            ``(n, *shape)`` float64, positive.
        """
        amplitudes = self.amplitudes()
        kept = tuple(slice(min(self.modes, cells)) for cells in shape)
        scale = np.sqrt(np.prod(shape))
        fields = np.empty((len(ids), *shape))
        for field, sample in zip(fields, ids, strict=True):
            generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, int(sample)))))
            coefficients = generator.standard_normal(amplitudes.shape) * amplitudes
            field[...] = np.exp(idctn(coefficients[kept], s=shape, norm="ortho") * scale)
        return fields


AnyLaw = Annotated[Law, OneOf(Law, lambda: (Lognormal,))]
