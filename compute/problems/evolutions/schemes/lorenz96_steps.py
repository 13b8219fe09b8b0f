from __future__ import annotations

import numpy as np

from ritz.compute.solvers.kernel import kernel


@kernel
def march(slow: np.ndarray, fast: np.ndarray, parameters: np.ndarray, interval: float, steps: int) -> None:
    """Take classical Runge–Kutta steps of the Lorenz-96 system, one sample after the other.

    Parameters
    ----------
    slow
        ``(n, sites)`` float64 the states; changed in place.
    fast
        ``(n, sites · J)`` float64 those of the fast variables along their ring; of no columns where there are none.
    parameters
        ``(n, 4)`` float64 F, h, c and b of every sample.
    interval
        Δt.
    steps
        How many.
    """
    sites, ring = slow.shape[1], fast.shape[1]
    # Two neighbours before and one behind; of the fast ring, which runs the other way, one before and two behind.
    x, x_next = np.empty(sites + 3), np.empty(sites + 3)
    y, y_next = np.empty(ring + 3), np.empty(ring + 3)
    x_push, x_sum = np.empty(sites), np.empty(sites)
    y_push, y_sum = np.empty(ring), np.empty(ring)
    for n in range(len(slow)):
        x_now, y_now = slow[n], fast[n]
        forcing, coupling, time_ratio, amplitude_ratio = parameters[n]
        pull = coupling * time_ratio / amplitude_ratio
        x_push[:] = forcing
        for _ in range(steps):
            x[2 : 2 + sites] = x_now
            y[1 : 1 + ring] = y_now
            for stage in range(4):
                weight = interval / 6 if stage in (0, 3) else interval / 3
                ahead = interval if stage == 2 else interval / 2
                if ring:
                    _couple(x[2 : 2 + sites], y[1 : 1 + ring], x_push, y_push, forcing, pull)
                    y[0], y[ring + 1], y[ring + 2] = y[ring], y[1], y[2]
                    _fast(y, y_push, time_ratio, amplitude_ratio, y_now, y_sum, y_next, weight, ahead, stage == 0)
                    y, y_next = y_next, y
                x[0], x[1], x[sites + 2] = x[sites], x[sites + 1], x[2]
                _slow(x, x_push, x_now, x_sum, x_next, weight, ahead, stage == 0)
                x, x_next = x_next, x
            x_now += x_sum
            y_now += y_sum


@kernel
def _couple(x: np.ndarray, y: np.ndarray, x_push: np.ndarray, y_push: np.ndarray, forcing: float, pull: float) -> None:
    """Put into the pushes what stands beside the products and the damping of both kinds of variables."""
    many = len(y) // len(x)
    for k in range(len(x)):
        total, push = 0.0, pull * x[k]
        of_site, pushed = y[k * many : (k + 1) * many], y_push[k * many : (k + 1) * many]
        for j in range(many):
            total += of_site[j]
            pushed[j] = push
        x_push[k] = forcing - pull * total


@kernel
def _slow(
    x: np.ndarray,
    push: np.ndarray,
    now: np.ndarray,
    total: np.ndarray,
    following: np.ndarray,
    weight: float,
    ahead: float,
    first: bool,
) -> None:
    """Add a stage of the slow variables to the total of the step, and put where the next stage stands."""
    count = len(now)
    far, before, here, behind = x[:count], x[1 : 1 + count], x[2 : 2 + count], x[3 : 3 + count]
    then = following[2 : 2 + count]
    if first:
        total[:] = 0.0
    for k in range(count):
        slope = before[k] * (behind[k] - far[k]) - here[k] + push[k]
        total[k] += weight * slope
        then[k] = now[k] + ahead * slope


@kernel
def _fast(
    y: np.ndarray,
    push: np.ndarray,
    time_ratio: float,
    amplitude_ratio: float,
    now: np.ndarray,
    total: np.ndarray,
    following: np.ndarray,
    weight: float,
    ahead: float,
    first: bool,
) -> None:
    """Add a stage of the fast variables to the total of the step, and put where the next stage stands."""
    count = len(now)
    before, here, behind, far = y[:count], y[1 : 1 + count], y[2 : 2 + count], y[3 : 3 + count]
    then = following[1 : 1 + count]
    if first:
        total[:] = 0.0
    for m in range(count):
        products = amplitude_ratio * behind[m] * (before[m] - far[m])
        slope = time_ratio * (products - here[m]) + push[m]
        total[m] += weight * slope
        then[m] = now[m] + ahead * slope
