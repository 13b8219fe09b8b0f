"""Which cheap rungs pay beside the truth, from a pilot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, permutations

import numpy as np
import scipy

from ritz.compute.uncertainty.propagation.points import FIRST, REPLICATES

LONGEST = 3
"""Rungs of a chain, the truth among them."""


@dataclass(frozen=True)
class Chain:
    """A telescoping sum over rungs, the truth first, each with a coefficient on the next one.

    E[Q₀] = E[Q₀ − β₁ Q₁] + β₁ E[Q₁ − β₂ Q₂] + β₁ β₂ E[Q₂], each mean over samples of its own, so that their variances
    add up (M. B. Giles, "Multilevel Monte Carlo path simulation", Oper. Res. 56, 2008; a network as the last rung is a
    control variate).

    Attributes
    ----------
    rungs
        Names, the truth first.
    coefficients
        ``(q, rungs − 1)``, β of each quantity.
    variances
        ``(q, rungs)`` of the terms, one sample each, at the lower ends of the squared correlations.
    prices
        Seconds of a sample of each term.
    """

    rungs: tuple[str, ...]
    coefficients: np.ndarray
    variances: np.ndarray
    prices: tuple[float, ...]

    def samples(self, error: np.ndarray) -> np.ndarray:
        """Return how many samples of each term give standard errors of the quantities at the least price.

        Parameters
        ----------
        error
            ``(q,)`` standard errors.

        Returns
        -------
        samples
            ``(rungs,)`` float64; the largest that a quantity needs, and no fewer than a replicate's `FIRST` each.
        """
        prices = np.array(self.prices)
        spread = np.sqrt(self.variances * prices).sum(axis=1, keepdims=True)
        needed = np.sqrt(self.variances / prices) * spread / (error**2)[:, None]
        return np.asarray(np.maximum(needed.max(axis=0), FIRST * REPLICATES))

    def seconds(self, error: np.ndarray) -> float:
        """Return what standard errors ``(q,)`` of the quantities cost."""
        return float(self.samples(error) @ np.array(self.prices))

    def effort(self) -> np.ndarray:
        """Return for each quantity ``(q,)`` the variance of many samples times their seconds: small is good."""
        return np.asarray(np.sqrt(self.variances * np.array(self.prices)).sum(axis=1) ** 2)

    def weights(self) -> np.ndarray:
        """Return what each term's mean counts, ``(q, rungs)``: 1, β₁, β₁ β₂."""
        ones = np.ones((len(self.coefficients), 1))
        return np.cumprod(np.concatenate([ones, self.coefficients], axis=1), axis=1)


@dataclass(frozen=True)
class Pilot:
    """Quantities of the same samples on every rung.

    Attributes
    ----------
    values
        ``(n, q)`` by rung, the truth first; see `ritz.compute.uncertainty.propagation.points.pilot`.
    prices
        Seconds of a sample by rung, those of `dear` among them.
    dear
        Of rungs that cost as much as the truth or more, and were asked no further, the values of the first samples.
    quasi_random
        Whether the samples are quasi-random in replicates, and those of the estimate will be.
    """

    values: Mapping[str, np.ndarray]
    prices: Mapping[str, float]
    quasi_random: bool
    dear: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def truth(self) -> str:
        """Name of the rung that is the truth."""
        return next(iter(self.values))

    def pairs(self, name: str, other: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield each quantity on two rungs, ``(n,)`` each, on the samples that both have answered."""
        one, two = (self.values[rung] if rung in self.values else self.dear[rung] for rung in (name, other))
        count = min(len(one), len(two))
        yield from zip(one[:count].T, two[:count].T, strict=True)

    def squared_correlation(self, name: str, other: str) -> np.ndarray:
        """Return ρ² of the quantities on two rungs, ``(q,)``."""
        return np.array([_correlation(one, two) ** 2 for one, two in self.pairs(name, other)])

    def squared_correlation_interval(self, name: str, other: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the 95 % interval of ρ², ``(q,)`` each, by Fisher's transformation of ρ."""
        low, high = [], []
        for one, two in self.pairs(name, other):
            rho, reach = abs(_correlation(one, two)), 1.96 / np.sqrt(max(1, len(one) - 3))
            middle = np.arctanh(min(rho, 1 - 1e-15))
            low.append(np.tanh(max(0.0, middle - reach)) ** 2)
            high.append(np.tanh(middle + reach) ** 2)
        return np.array(low), np.array(high)

    def chains(self, cheap: Sequence[str] | None = None) -> list[Chain]:
        """Return the chains of at most `LONGEST` rungs, the plain truth first.

        Those with a correlation that may be none are left out: their coefficients would be noise.

        Parameters
        ----------
        cheap
            Among which rungs; all but the truth by default.
        """
        others = [name for name in self.values if name != self.truth] if cheap is None else list(cheap)
        found = [self._chain((self.truth,))]
        for count in range(1, LONGEST):
            for names in permutations(others, count):
                prices = [self.prices[name] for name in (self.truth, *names)]
                if all(next_one < one for one, next_one in pairwise(prices)):
                    chain = self._chain((self.truth, *names))
                    if np.all(chain.coefficients != 0):
                        found.append(chain)
        return found

    def best(self, error: np.ndarray, cheap: Sequence[str] | None = None) -> Chain:
        """Return the chain that gives standard errors ``(q,)`` of the quantities at the least price."""
        return min(self.chains(cheap), key=lambda chain: chain.seconds(error))

    def best_within(self, seconds: float) -> Chain:
        """Return the chain that comes nearest to the means in some seconds, of those whose first samples fit in half.

        Of several quantities the one counts that is furthest from what plain solves give.
        """
        plain, *others = self.chains()
        fitting = [one for one in others if 2 * FIRST * REPLICATES * sum(one.prices) <= seconds]
        effort = np.maximum(plain.effort(), np.finfo(np.float64).tiny)
        return min((plain, *fitting), key=lambda one: float((one.effort() / effort).max()))

    def shifts(self, chain: Chain) -> np.ndarray:
        """Return the means of the terms of a chain, ``(rungs, q)``."""
        means = [self.values[name].mean(axis=0) for name in chain.rungs]
        terms = [one - beta * two for one, two, beta in zip(means, means[1:], chain.coefficients.T, strict=False)]
        return np.stack([*terms, means[-1]])

    def _chain(self, names: tuple[str, ...]) -> Chain:
        pairs = list(pairwise(names))
        quantities = self.values[names[0]].shape[1]
        caution = np.array([self._caution(*pair) for pair in pairs]).reshape(-1, quantities)
        coefficients, variances = [], []
        for quantity in range(quantities):
            columns = [self.values[name][:, quantity] for name in names]
            betas = [_slope(one, two) for one, two in pairwise(columns)]
            scales = np.cumprod([1.0, *betas])
            terms = [one - beta * two for (one, two), beta in zip(pairwise(columns), betas, strict=True)]
            variances.append(scales**2 * [self._variance(term) for term in (*terms, columns[-1])])
            variances[-1][:-1] *= caution[:, quantity]
            coefficients.append(betas)
        prices = [self.prices[name] for name in names]
        together = tuple(one + two for one, two in zip(prices, [*prices[1:], 0.0], strict=True))
        return Chain(names, np.array(coefficients).reshape(quantities, -1), np.array(variances), together)

    def _caution(self, name: str, other: str) -> np.ndarray:
        """Return by what factor the variance of a difference is larger at the lower end of ρ²."""
        low, found = self.squared_correlation_interval(name, other)[0], self.squared_correlation(name, other)
        return np.asarray((1 - low) / np.maximum(1 - found, 1e-15))

    def _variance(self, values: np.ndarray) -> float:
        """Return the variance of random samples that would give the error of these: of quasi-random ones by replicate.

        Their error falls faster than that of random samples, so for more of them this is an upper bound.
        """
        if not self.quasi_random:
            return float(values.var(ddof=1))
        return FIRST * float(values.reshape(REPLICATES, FIRST).mean(axis=1).var(ddof=1))


def _correlation(one: np.ndarray, two: np.ndarray) -> float:
    deviations = float(one.std() * two.std())
    return float(np.mean((one - one.mean()) * (two - two.mean()))) / deviations if deviations else 0.0


def _slope(one: np.ndarray, two: np.ndarray) -> float:
    """Return the coefficient that leaves the least variance of ``one − β two``; 0 where they may be unrelated."""
    count, rho = len(one), _correlation(one, two)
    # Student's test of ρ = 0.
    noise = scipy.stats.t.ppf(0.975, count - 2)
    if rho**2 <= noise**2 / (noise**2 + count - 2):
        return 0.0
    return rho * float(one.std() / two.std())
