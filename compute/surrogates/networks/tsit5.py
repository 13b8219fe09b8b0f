"""The adaptive Runge–Kutta method Tsit5 for batches, each sample with steps of its own, differentiable by torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

Slope = Callable[[torch.Tensor], torch.Tensor]
"""From states ``(n, d)`` to their derivatives in time ``(n, d)``; no sample has a part in the derivative of another."""

_STAGES: tuple[tuple[float, ...], ...] = (
    (0.161,),
    (-0.008480655492356989, 0.335480655492357),
    (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
    (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
    (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
    (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
)
"""Row i has the weights of the slopes before in the state where slope i + 1 is taken; the last state is the result."""

WEIGHTS = _STAGES[-1]
"""Of the slopes in a step; the seventh, at the result, has none."""

_EMBEDDED = (
    -0.00178001105222577714,
    -0.0008164344596567469,
    0.007880878010261995,
    -0.1447110071732629,
    0.5823571654525552,
    -0.45808210592918697,
    1 / 66,
)
"""Weights of the slopes in the difference from the embedded result of fourth order."""

_BETWEEN = (
    (1.0, -2.763706197274826, 2.9132554618219126, -1.0530884977290216),
    (0.0, 0.13169999999999998, -0.2234, 0.1017),
    (0.0, 3.9302962368947516, -5.941033872131505, 2.490627285651253),
    (0.0, -12.411077166933676, 30.33818863028232, -16.548102889244902),
    (0.0, 37.50931341651104, -88.1789048947664, 47.37952196281928),
    (0.0, -27.896526289197286, 65.09189467479366, -34.87065786149661),
    (0.0, 1.5, -4.0, 2.5),
)
"""Coefficients of θ, θ², θ³ and θ⁴ in the weights of the slopes in the state at the share θ of a step."""

_SAFETY, _LEAST, _MOST = 0.9, 0.2, 10.0
"""Of the length that the error of a step suggests what is taken, and limits of the change from step to step."""


class Step(NamedTuple):
    """One step of ``n`` states from time t to t + h.

    Attributes
    ----------
    points
        The seven states ``(n, d)`` where slopes are taken: the first is the state at t, the last that at t + h.
    slopes
        There, ``(n, d)`` each.
    error
        ``(n,)``, root mean square over the components of the difference from the embedded result of fourth order, each
        component in units of rtol (1 + max(|before|, |after|)): at most 1 in a step that is accepted.
    stiffness
        ``(n,)``, ‖f(a) − f(b)‖/‖a − b‖ for the last two points a and b, both at t + h: an estimate of the largest rate
        of the linearised equation.
    """

    points: list[torch.Tensor]
    slopes: list[torch.Tensor]
    error: torch.Tensor
    stiffness: torch.Tensor


def step(slope: Slope, state: torch.Tensor, first: torch.Tensor, length: torch.Tensor, rtol: float) -> Step:
    """Take one step of fifth order; every part of the result is differentiable.

    Parameters
    ----------
    slope
        Of the equation.
    state, first
        ``(n, d)`` floating-point, and the slope there.
    length
        ``(n,)``, h of every sample.
    rtol
        Unit of `Step.error`.
    """
    h = length[:, None]
    points, slopes = [state], [first]
    for row in _STAGES:
        points.append(state + h * _sum(row, slopes))
        slopes.append(slope(points[-1]))
    unit = rtol * (1 + torch.maximum(state.abs(), points[-1].abs())).detach()
    error = _size(h * _sum(_EMBEDDED, slopes) / unit)
    # Two points that rounding alone sets apart say nothing of the slope between them.
    rounding = torch.finfo(state.dtype).eps * (1 + _size(state).detach())
    stiffness = _size(slopes[-1] - slopes[-2]) / (_size(points[-1] - points[-2]) + rounding)
    return Step(points, slopes, error, stiffness)


def between(taken: Step, rows: torch.Tensor, share: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """Return states inside of a step, of fourth order, ``(k, d)``.

    Parameters
    ----------
    taken
        The step of ``n`` samples.
    rows, share
        ``(k,)``, of which sample a state is returned, and at which share θ of its step, from 0 to 1.
    length
        ``(n,)``, of the step.
    """
    coefficients = torch.tensor(_BETWEEN, dtype=share.dtype, device=share.device)
    powers = share[:, None] ** torch.arange(1, 5, dtype=share.dtype, device=share.device)
    slopes = torch.stack([slope[rows] for slope in taken.slopes], dim=1)
    return taken.points[0][rows] + length[rows, None] * torch.einsum("ks,ksd->kd", powers @ coefficients.T, slopes)


class Attempt(NamedTuple):
    """What the integrator did at once: a step of every sample that is not at its end.

    Attributes
    ----------
    rows
        ``(k,)``, which samples these are.
    begin, end
        ``(k,)``, times between which the step leads.
    step
        What it came to.
    accepted
        ``(k,)``, whose error was small enough; the others take a shorter one next.
    evaluations
        ``(k,)`` int64, slopes that were evaluated for it, those before the first step among them.
    """

    rows: torch.Tensor
    begin: torch.Tensor
    end: torch.Tensor
    step: Step
    accepted: torch.Tensor
    evaluations: torch.Tensor

    @property
    def length(self) -> torch.Tensor:
        """``(k,)``, of the steps."""
        return self.end - self.begin


def attempts(slope: Slope, state: torch.Tensor, end: torch.Tensor, *, rtol: float, most: int) -> Iterator[Attempt]:
    """Yield steps from time zero until all samples are at their ends; gradients go through the states alone.

    The error of a step decides on the length of the next, for every sample by itself, so that no sample has a part in
    what comes of another. Lengths are constants to a gradient.

    Source: C. Tsitouras, "Runge–Kutta pairs of order 5(4) satisfying only the first column simplifying assumption",
    Comput. Math. Appl. 62 (2011); the first length and the control: Hairer, Nørsett, Wanner, "Solving ordinary
    differential equations I", II.4.

    Parameters
    ----------
    slope
        Of the equation; it does not depend on time.
    state
        ``(n, d)`` floating-point, at time zero.
    end
        ``(n,)``, at least 0.
    rtol
        Largest error of a step, relative to 1 + |state|.
    most
        Most attempts.

    Raises
    ------
    FloatingPointError
        If samples are not at their ends after ``most`` attempts, as where states grow beyond bounds.
    """
    rows = torch.nonzero(end > 0).flatten()
    state, end, now = state[rows], end[rows], torch.zeros_like(end[rows])
    first = slope(state)
    length = _first_length(slope, state.detach(), first.detach(), rtol)
    evaluations = torch.full_like(rows, 2)
    for _ in range(most):
        if not len(rows):
            return
        last = length >= end - now
        until = torch.where(last, end, now + length)
        taken = step(slope, state, first, until - now, rtol)
        error = taken.error.detach()
        fit, evaluations = error <= 1, evaluations + len(_STAGES)
        overflowed = ~error.isfinite()
        if overflowed.any():
            # Zero times infinity is no gradient: nobody takes this step, and those that overflowed take shorter ones.
            length = torch.where(overflowed, _LEAST * length, length)
            continue
        yield Attempt(rows, now, until, taken, fit, evaluations)
        evaluations = torch.zeros_like(rows)
        factor = (_SAFETY * error.clamp(min=1e-10) ** -0.2).clamp(_LEAST, _MOST)
        length = torch.where(fit, factor, factor.clamp(max=1.0)) * (until - now)
        now = torch.where(fit, until, now)
        state = torch.where(fit[:, None], taken.points[-1], state)
        first = torch.where(fit[:, None], taken.slopes[-1], first)
        left = torch.nonzero(~(fit & last)).flatten()
        if len(left) < len(rows):
            rows, end, now, length, evaluations = (one[left] for one in (rows, end, now, length, evaluations))
            state, first = state[left], first[left]
    if len(rows):
        raise FloatingPointError(
            f"{len(rows)} trajectories are not at their ends after {most} steps with rtol = {rtol:g}, the slowest at "
            f"{float((now / end).min()):.3g} of the way; expected fewer steps: take a larger rtol or larger max_steps"
        )


class Solved(NamedTuple):
    """Trajectories of ``n`` samples at ``m`` times.

    Attributes
    ----------
    states
        ``(n, m, d)``, differentiable.
    lengths
        ``(n, m)``, of the steps in which the times lie.
    evaluations
        ``(n,)`` int64, slopes that were evaluated for each sample.
    error, stiffness
        ``(n,)``, means of those of all steps over time, each step by its length; differentiable.
    """

    states: torch.Tensor
    lengths: torch.Tensor
    evaluations: torch.Tensor
    error: torch.Tensor
    stiffness: torch.Tensor


def solve(slope: Slope, state: torch.Tensor, times: torch.Tensor, *, rtol: float, most: int) -> Solved:
    """Return states at any times; their gradient goes through all steps.

    Parameters
    ----------
    slope, state, rtol, most
        See `attempts`.
    times
        ``(n, m)``, above zero, in any order.

    Raises
    ------
    FloatingPointError
        See `attempts`.
    """
    n, m = times.shape
    keys, states, lengths = [times.new_empty(0, dtype=torch.int64)], [state[:0]], [times.flatten()[:0]]
    evaluations = torch.zeros(n, dtype=torch.int64, device=times.device)
    error, stiffness = (torch.zeros_like(state[:, 0]) for _ in range(2))
    end = times.amax(dim=1)
    for one in attempts(slope, state, end, rtol=rtol, most=most):
        evaluations = evaluations.index_add(0, one.rows, one.evaluations)
        share = torch.where(one.accepted, one.length / end[one.rows], 0.0)
        error = error.index_add(0, one.rows, share * one.step.error)
        stiffness = stiffness.index_add(0, one.rows, share * one.step.stiffness)
        wanted = times[one.rows]
        inside = one.accepted[:, None] & (wanted > one.begin[:, None]) & (wanted <= one.end[:, None])
        row, column = inside.nonzero(as_tuple=True)
        keys.append(one.rows[row] * m + column)
        states.append(between(one.step, row, (wanted[row, column] - one.begin[row]) / one.length[row], one.length))
        lengths.append(one.length[row])
    order = torch.cat(keys).argsort()
    ordered, steps = torch.cat(states)[order].reshape(n, m, -1), torch.cat(lengths)[order].reshape(n, m)
    return Solved(ordered, steps, evaluations, error, stiffness)


def _sum(weights: tuple[float, ...], slopes: list[torch.Tensor]) -> torch.Tensor:
    total = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=True):
        total = total + weight * slope
    return total


def _size(values: torch.Tensor) -> torch.Tensor:
    """Return the root mean square over the components, ``(n,)``; its gradient at zero is zero."""
    return (values.square().mean(dim=1) + torch.finfo(values.dtype).tiny).sqrt()


@torch.no_grad()
def _first_length(slope: Slope, state: torch.Tensor, first: torch.Tensor, rtol: float) -> torch.Tensor:
    """Return the length of the first step, ``(n,)``, from two slopes."""
    unit = rtol * (1 + state.abs())
    size, rate = _size(state / unit), _size(first / unit)
    small = torch.where((size < 1e-5) | (rate < 1e-5), 1e-6, 0.01 * size / rate)
    bend = _size((slope(state + small[:, None] * first) - first) / unit) / small
    largest = torch.maximum(rate, bend)
    length = torch.where(largest <= 1e-15, (1e-3 * small).clamp(min=1e-6), (0.01 / largest) ** 0.2)
    return torch.minimum(100 * small, length)
