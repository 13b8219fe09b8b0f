from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ritz.compute.kind import Source
from ritz.compute.problems.evolution import Evolution, State
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.problems.sizes import joint_size

BENETTIN = Source(
    "G. Benettin, L. Galgani, J.-M. Strelcyn",
    "Kolmogorov entropy and numerical experiments",
    1976,
    "Phys. Rev. A 14",
    "The mean logarithmic growth of the distance of two trajectories, set back to a small one again and again, is the "
    "largest exponent.",
    "lyapunov.txt",
)


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


def largest_exponent(
    problem: Evolution,
    inputs: Mapping[str, np.ndarray],
    solve: Solve,
    *,
    intervals: int,
    transient: int,
    distance: float = 1e-6,
    seed: int = 0,
) -> LyapunovExponent:
    """Return the largest Lyapunov exponent, from several trajectories, with its standard error.

    Beside the trajectory of every sample runs one of a state close to it. After each stored step the other state is
    set back to the first distance, in the direction in which it lies; the mean of the logarithms of what the distances
    grew by, per unit of time, is the exponent. Both run in one block. The exponent does not depend on the norm, here
    the Euclidean one of all outputs together.

    The trajectories count as independent, and the standard error is ``s/√n`` of their rates. Where parameters differ
    among the samples, the mean and the spread are over these as well.

    Source: Benettin, Galgani and Strelcyn, "Kolmogorov entropy and numerical experiments", Phys. Rev. A 14 (1976).

    Parameters
    ----------
    problem
        An evolution whose stored steps are equally long after the transient. It is stepped on beyond its last time.
    inputs
        ``(n, *dims)`` for every input, as `Problem.draw` gives them: two trajectories or more.
    solve
        Answers the systems of implicit steps, to a tolerance well below ``distance``.
    intervals
        Stored steps that count.
    transient
        Stored steps before these: in them the states come to the attractor, and the distances into the direction that
        grows most.
    distance
        What both states are apart, relative to the norm of the state: small against 1, large against rounding.
    seed
        Of the random first directions.

    Raises
    ------
    ValueError
        If there are fewer than two trajectories or no intervals, ``distance`` is not between 0 and 1, the stored steps
        that count are not equally long, or a distance ceases to be a positive number.
    """
    n = len(next(iter(inputs.values())))
    if n < 2:
        raise ValueError(f"got {n} trajectories, expected two or more for a standard error")
    if intervals < 1 or transient < 0:
        raise ValueError(f"intervals is {intervals} and transient {transient}, expected at least 1 and at least 0")
    if not 0 < distance < 1:
        raise ValueError(f"distance is {distance:g}, expected between 0 and 1")
    interval = _interval(problem, transient)
    twice = {name: np.concatenate([values, values]) for name, values in inputs.items()}
    state = problem.start(twice)
    state = State(state.step, _apart(state.fields, n, distance, np.random.default_rng(seed)))
    growth = np.zeros(n)
    for step in range(transient + intervals):
        apart = joint_size(_differences(state.fields, n))
        state = problem.advance(state, twice, 1, solve)
        grown = joint_size(_differences(state.fields, n))
        _refuse_lost(grown, step)
        if step >= transient:
            growth += np.log(grown / apart)
        state = State(state.step, _set_back(state.fields, n, distance / grown))
    rates = growth / (intervals * interval)
    return LyapunovExponent(
        float(rates.mean()), float(rates.std(ddof=1) / np.sqrt(n)), rates, float(intervals * interval)
    )


def _interval(problem: Evolution, transient: int) -> float:
    """Return the time between two states that are stored, after the transient."""
    gaps = np.diff(problem.times, prepend=0.0)
    counted = gaps[transient:]
    if not np.allclose(counted, gaps[-1], rtol=1e-9, atol=0):
        raise ValueError(
            f"after a transient of {transient} stored steps of problem {problem.kind!r} take from "
            f"{counted.min():g} to {counted.max():g} units of time, expected equally long ones"
        )
    return float(gaps[-1])


def _apart(fields: Mapping[str, np.ndarray], n: int, distance: float, random: np.random.Generator) -> Arrays:
    """Return the states of twice n trajectories, the second n of them moved in random directions."""
    moved = {}
    for name, values in fields.items():
        moved[name] = values.copy()
        moved[name][n:] += random.standard_normal(values[n:].shape)
    return _set_back(moved, n, distance / joint_size(_differences(moved, n)))


def _differences(fields: Mapping[str, np.ndarray], n: int) -> Arrays:
    """Return by how much the second n trajectories differ from the first n, ``(n, *space)``."""
    return {name: values[n:] - values[:n] for name, values in fields.items()}


def _set_back(fields: Mapping[str, np.ndarray], n: int, factors: np.ndarray) -> Arrays:
    """Return the states with the differences multiplied by ``factors``, ``(n,)``, and by the norm of the state."""
    sizes = factors * joint_size({name: values[:n] for name, values in fields.items()})
    found = {}
    for name, difference in _differences(fields, n).items():
        here = fields[name][:n]
        found[name] = np.concatenate([here, here + sizes.reshape(-1, *(1,) * (here.ndim - 1)) * difference])
    return found


def _refuse_lost(distances: np.ndarray, step: int) -> None:
    """Refuse to go on where two trajectories became one, or are not finite."""
    lost = np.flatnonzero(~(np.isfinite(distances) & (distances > 0)))
    if len(lost):
        raise ValueError(
            f"trajectory {lost[0]} and its neighbour are {distances[lost[0]]:g} apart after stored step {step + 1}, "
            "expected a positive number: take a larger distance or shorter steps"
        )
