from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Kind, Source, in_units
from ritz.compute.problems.evolution import Evolution, State
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.sizes import joint_size


@dataclass(frozen=True)
class LyapunovExponent:
    """The largest Lyapunov exponent of an evolution: the rate at which near states part, ``exp(λt)``.

    Attributes
    ----------
    mean
        λ, the mean over the trajectories, per unit of the problem's time; negative where near states approach.
    standard_error
        That of the mean, from the spread of the trajectories.
    trajectories
        ``(n,)`` float64 the mean rate along each trajectory.
    duration
        The time over which each was followed.
    """

    mean: float
    standard_error: float
    trajectories: np.ndarray
    duration: float


class Benettin(Kind):
    """The largest Lyapunov exponent of an evolution, from two trajectories that are kept close, with a standard error.

    Beside the trajectory of every sample runs one of a state close to it. After each stored step the other state is
    set back to the first distance, in the direction in which it lies; the mean of the logarithms of what the distances
    grew by, per unit of time, is the exponent. It does not depend on the norm, here the Euclidean one of all outputs
    together. The samples count as independent trajectories, and the standard error is ``s/√n`` of their rates.

    Source: Benettin, Galgani and Strelcyn, "Kolmogorov entropy and numerical experiments", Phys. Rev. A 14 (1976).

    Examples
    --------
    The slowest mode of the heat equation with a = 1 decays at the rate 2π², less what grid and steps add.

    >>> from ritz.compute.problems.evolutions.heat import Heat
    >>> from ritz.compute.solvers.factorization.direct import Direct
    >>> problem = Heat(shape=(8, 8), steps=200, end=2.0)
    >>> inputs = problem.draw(0, np.arange(2)) | {"a": np.ones((2, 8, 8), np.float32)}
    >>> rule = Benettin(intervals=20, transient=100)
    >>> found = rule.exponent(problem, inputs, lambda systems: Direct().solve(systems, rtol=1e-10)[0].x)
    >>> round(found.mean / (2 * np.pi**2), 2)
    -0.99
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "G. Benettin, L. Galgani and J.-M. Strelcyn",
            "Kolmogorov entropy and numerical experiments",
            1976,
            "Phys. Rev. A 14",
            "the mean logarithmic growth of the distance of two trajectories, set back to a small one again and again, "
            "tends to the largest exponent",
            "lyapunov.txt",
        ),
    )

    kind: Literal["benettin"] = "benettin"
    intervals: int = Field(default=1000, ge=1, le=100_000_000, json_schema_extra=in_units("stored steps"))
    """Stored steps that count."""
    transient: int = Field(default=100, ge=0, le=100_000_000, json_schema_extra=in_units("stored steps"))
    """Stored steps before these: in them the states come to the attractor, and the differences into the direction that
    grows most."""
    distance: float = Field(default=1e-6, gt=0, lt=1)
    """How far both states are apart, relative to the norm of the state: small against 1, large against rounding and
    against the tolerance of the systems."""
    seed: int = Field(default=0, ge=0)
    """Of the random first directions."""

    def exponent(self, problem: Evolution, inputs: Mapping[str, np.ndarray], solve: Solve) -> LyapunovExponent:
        """Return the largest exponent of an evolution.

        Parameters
        ----------
        problem
            Its stored steps are equally long after the transient. It is stepped on beyond its last time.
        inputs
            ``(n, *dims)`` for every input, as `Problem.draw` gives them: two samples or more. Where parameters differ
            among them, mean and standard error are over these as well.
        solve
            Answers the systems of implicit steps.

        Raises
        ------
        ValueError
            If there are fewer than two samples, the stored steps that count are not equally long, or a distance ceases
            to be a positive number.
        """
        n = len(next(iter(inputs.values())))
        if n < 2:
            raise ValueError(f"got {n} trajectories, expected two or more for a standard error")
        interval = _interval(problem, self.transient)
        twice = {name: np.concatenate([values, values]) for name, values in inputs.items()}
        state = problem.start(twice)
        state = State(state.step, _apart(state.fields, self.distance, np.random.default_rng(self.seed)))
        growth = np.zeros(n)
        for step in range(self.transient + self.intervals):
            apart = joint_size(_differences(state.fields))
            state = problem.advance(state, twice, 1, solve)
            grown = joint_size(_differences(state.fields))
            _refuse_lost(grown, step)
            if step >= self.transient:
                growth += np.log(grown / apart)
            state = State(state.step, _set_apart(state.fields, self.distance))
        duration = self.intervals * interval
        rates = growth / duration
        return LyapunovExponent(float(rates.mean()), float(rates.std(ddof=1) / np.sqrt(n)), rates, duration)


def _interval(problem: Evolution, transient: int) -> float:
    """Return the time between two states that are stored, after the transient."""
    gaps = np.diff(problem.times, prepend=0.0)
    counted = gaps[min(transient, len(gaps) - 1) :]
    if not np.allclose(counted, gaps[-1], rtol=1e-9, atol=0):
        raise ValueError(
            f"transient is {transient}, and the stored steps of problem {problem.kind!r} after it take from "
            f"{counted.min():g} to {counted.max():g} units of time, expected equally long ones"
        )
    return float(gaps[-1])


def _apart(fields: Mapping[str, np.ndarray], distance: float, random: np.random.Generator) -> Arrays:
    """Return states of which the second half is moved in random directions from the first."""
    moved = {}
    for name, values in fields.items():
        moved[name] = values.copy()
        moved[name][len(values) // 2 :] += random.standard_normal((len(values) // 2, *values.shape[1:]))
    return _set_apart(moved, distance)


def _differences(fields: Mapping[str, np.ndarray]) -> Arrays:
    """Return by how much the second half of the states differs from the first, ``(n, *space)``."""
    return {name: values[len(values) // 2 :] - values[: len(values) // 2] for name, values in fields.items()}


def _set_apart(fields: Mapping[str, np.ndarray], distance: float) -> Arrays:
    """Return the states with both halves a distance apart, relative to the first, along their differences."""
    differences = _differences(fields)
    here = {name: values[: len(values) // 2] for name, values in fields.items()}
    factors = distance * joint_size(here) / joint_size(differences)
    return {
        name: np.concatenate([values, values + factors.reshape(-1, *(1,) * (values.ndim - 1)) * differences[name]])
        for name, values in here.items()
    }


def _refuse_lost(distances: np.ndarray, step: int) -> None:
    """Refuse to go on where two trajectories became one, or are not finite."""
    lost = np.flatnonzero(~(np.isfinite(distances) & (distances > 0)))
    if len(lost):
        raise ValueError(
            f"the distance of trajectory {lost[0]} from its neighbour is {distances[lost[0]]:g} after stored step "
            f"{step + 1}, expected a positive number: take a larger distance or shorter steps"
        )
