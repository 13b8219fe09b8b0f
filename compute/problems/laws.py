from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Fault, Kind, OneOf, Source, in_units
from ritz.compute.problems.gaussian import cosines, lead, leading

Tau = Annotated[float, Field(gt=0, le=1000)]
Alpha = Annotated[float, Field(gt=1, le=20)]
Modes = Annotated[int, Field(ge=2, le=4096)]


class Law(Kind, ABC):
    """A distribution of random fields on the unit box, sampled at the centres of any grid."""

    kind: str

    def check(self, axes: int) -> None:
        """Refuse a number of dimensions.

        Raises
        ------
        ValueError
            If the law is none in that many dimensions.
        """
        del axes

    @property
    def bound(self) -> float | None:
        """The largest value that a field may have; None where there is no bound."""
        return None

    @abstractmethod
    def draw(self, seed: int, ids: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Draw the fields of the samples ``ids``, ``(n, *shape)`` float64.

        Each id draws its own numbers and is transformed by itself, so an id has the same bits in any block,
        order and process on one kind of processor.
        """

    def leading(self, axes: int) -> int:
        """Return how many leading coefficients may be given in a number of dimensions; none by default."""
        del axes
        return 0

    def draw_at(self, seed: int, ids: np.ndarray, shape: tuple[int, ...], given: np.ndarray | None) -> np.ndarray:
        """Draw with given leading coefficients ``(n, k)``; see `ritz.compute.problems.problem.Problem.draw_at`."""
        if given is not None and given.shape[1]:
            raise ValueError(f"the law {self.kind!r} takes no leading coefficients, got {given.shape[1]}")
        return self.draw(seed, ids, shape)


class Lognormal(Law):
    """Exponential of a Gaussian field with covariance proportional to (−Δ + τ²)^−α, in any dimension.

    −Δ is taken with Neumann conditions on the unit box, so the eigenfunctions are products of cosines; in two
    dimensions

        log a(y, x) = σ Σ ξ_kl √λ_kl φ_k(y) φ_l(x),   λ_kl ∝ (π²(k² + l²) + τ²)^−α,   ξ_kl ~ N(0, 1),

    with φ_k(t) = √2 cos(πkt), φ_0 = 1, 0 ≤ k, l < ``modes``. The constant k = l = 0 is left out: it would only scale
    a whole field. The λ are scaled so that the variance of log a, averaged over the box, is σ². With the
    defaults max a / min a is about 100 in two dimensions, and 1500 in three, where α = 2 is rougher.

    The same id gives the same field at any grid size: modes a grid cannot resolve are dropped from it.

    Source: the Gaussian measures of Li et al., "Fourier neural operator", ICLR 2021, A.3.2.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source("Li et al.", "Fourier neural operator for parametric partial differential equations", 2021, "ICLR"),
    )

    kind: Literal["lognormal"] = "lognormal"
    tau: Tau = 3.0
    """Inverse correlation length τ."""
    alpha: Alpha = 2.0
    """Smoothness α; above 1, and above 3/2 in three dimensions, so that the variance is finite."""
    sigma: float = Field(default=1.0, gt=0, le=5)
    """Standard deviation of log a."""
    modes: Modes | None = Field(default=None, json_schema_extra=in_units("cosines"))
    """Cosines in each direction; by default 64, and 32 in three dimensions."""

    def check(self, axes: int) -> None:
        """Refuse a smoothness too low for the dimensions; see `Law.check`."""
        _check(self.alpha, axes)

    def amplitudes(self, axes: int = 2) -> np.ndarray:
        """Return the standard deviations of the cosine coefficients of log a; an axis for each of the box.

        Raises
        ------
        ValueError
            If the smoothness is too low for the dimensions.
        """
        return self.sigma * _amplitudes(axes, self.tau, self.alpha, self.modes)

    def draw(self, seed: int, ids: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Draw the fields of the samples ``ids`` at the cell centres of a grid.

        Parameters
        ----------
        seed
            Seed of the dataset, not negative.
        ids
            ``(n,)`` sample ids, not negative.
        shape
            Cells along each axis.

        Returns
        -------
        a
            ``(n, *shape)`` float64, positive.
        """
        return self.draw_at(seed, ids, shape, None)

    def leading(self, axes: int) -> int:
        """Return how many leading coefficients may be given; see `Law.leading`."""
        return leading(self.amplitudes(axes))

    def draw_at(self, seed: int, ids: np.ndarray, shape: tuple[int, ...], given: np.ndarray | None) -> np.ndarray:
        """Draw with given leading coefficients of log a; see `Law.draw_at`."""
        fields, amplitudes = np.empty((len(ids), *shape)), self.amplitudes(len(shape))
        for field, gaussian in zip(fields, _gaussian(seed, ids, shape, amplitudes, given), strict=True):
            field[...] = np.exp(gaussian)
        return fields


class TwoPhase(Law):
    """Two values, told apart by the sign of a Gaussian field: a medium with sharp walls between its phases.

    a = ``high`` where g ≥ 0 and ``low`` elsewhere, with g the field whose exponential `Lognormal` takes; with equal τ,
    α and ``modes`` it is the same field, id by id. The constant is left out of g, so both phases fill half of the box
    on average.

    The same id gives the same phases at any grid size, up to the modes a grid cannot resolve.

    Source: the permeability of Li et al., "Fourier neural operator", ICLR 2021, 5.2: the defaults, in two dimensions.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source("Li et al.", "Fourier neural operator for parametric partial differential equations", 2021, "ICLR"),
    )

    kind: Literal["two_phase"] = "two_phase"
    low: float = Field(default=3.0, gt=0, le=1e30)
    """Value of the one phase."""
    high: float = Field(default=12.0, gt=0, le=1e30)
    """Value of the other, above ``low``."""
    tau: Tau = 3.0
    """Inverse correlation length τ of g."""
    alpha: Alpha = 2.0
    """Smoothness α of g; above 1, and above 3/2 in three dimensions."""
    modes: Modes | None = Field(default=None, json_schema_extra=in_units("cosines"))
    """Cosines in each direction; by default 64, and 32 in three dimensions."""

    @property
    def bound(self) -> float:
        """``high``; see `Law.bound`."""
        return self.high

    def faults(self) -> Iterator[Fault]:
        """Yield values that are not in their order; see `Kind.faults`."""
        if not self.low < self.high:
            yield Fault(("low", "high"), f"low is {self.low:g} and high is {self.high:g}, expected low below high")

    def check(self, axes: int) -> None:
        """Refuse a smoothness too low for the dimensions; see `Law.check`."""
        _check(self.alpha, axes)

    def draw(self, seed: int, ids: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Draw the fields of the samples ``ids``, ``(n, *shape)`` float64; see `Lognormal.draw`."""
        return self.draw_at(seed, ids, shape, None)

    def leading(self, axes: int) -> int:
        """Return how many leading coefficients may be given; see `Law.leading`."""
        return leading(_amplitudes(axes, self.tau, self.alpha, self.modes))

    def draw_at(self, seed: int, ids: np.ndarray, shape: tuple[int, ...], given: np.ndarray | None) -> np.ndarray:
        """Draw with given leading coefficients of g; see `Law.draw_at`."""
        amplitudes = _amplitudes(len(shape), self.tau, self.alpha, self.modes)
        fields = np.empty((len(ids), *shape))
        for field, gaussian in zip(fields, _gaussian(seed, ids, shape, amplitudes, given), strict=True):
            field[...] = np.where(gaussian >= 0, self.high, self.low)
        return fields


def _check(alpha: float, axes: int) -> None:
    """Refuse a covariance whose variance would grow with the number of modes."""
    if not 2 * alpha > axes:
        raise ValueError(f"law.alpha is {alpha:g}, expected more than {axes / 2:g} in {axes} dimensions")


def _amplitudes(axes: int, tau: float, alpha: float, modes: int | None) -> np.ndarray:
    """Return the standard deviations of the cosine coefficients of a field of variance 1, an axis each."""
    _check(alpha, axes)
    k = np.arange(modes or (64 if axes < 3 else 32), dtype=np.float64)
    squares = sum(np.meshgrid(*[k**2] * axes, indexing="ij", sparse=True))
    spectrum = (np.pi**2 * squares + tau**2) ** -alpha
    spectrum[(0,) * axes] = 0
    amplitudes: np.ndarray = np.sqrt(spectrum / spectrum.sum())
    return amplitudes


def _gaussian(
    seed: int, ids: np.ndarray, shape: tuple[int, ...], amplitudes: np.ndarray, given: np.ndarray | None
) -> Iterator[np.ndarray]:
    """Yield for every id the sum of cosines with random coefficients of these standard deviations, some of them given.

    See `ritz.compute.problems.gaussian.lead`.
    """
    for row, sample in enumerate(ids):
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, int(sample)))))
        normal = generator.standard_normal(amplitudes.shape)
        lead(normal, amplitudes, None if given is None else given[row])
        yield cosines(normal * amplitudes, shape)


AnyLaw = Annotated[Law, OneOf(Law, lambda: (Lognormal, TwoPhase))]


class InMedium(Kind):
    """A problem on a box whose coefficient has a `Law`: part of a problem with the fields ``shape`` and ``law``."""

    if TYPE_CHECKING:
        # Fields of the problem, which keep their places among its others.
        shape: tuple[int, ...]
        law: AnyLaw

    def faults(self) -> Iterator[Fault]:
        """Yield a law that is not for so many dimensions; see `Kind.faults`."""
        try:
            self.law.check(len(self.shape))
        except ValueError as error:
            yield Fault(("law", "shape"), str(error))
