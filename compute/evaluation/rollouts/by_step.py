"""What is measured of a prediction in time, a number per sample and stored time."""

from __future__ import annotations

import numpy as np

from ritz.compute.evaluation.metric import Subject
from ritz.compute.fields.dimensions import TIME, Dimensions
from ritz.compute.fields.step_errors import (
    correlation_by_time,
    normalised_rmse_by_time,
    variance_scaled_rmse_by_time,
)

EPSILON = 1e-7
"""Added to the variance below the VRMSE, as The Well does."""


def unfit(dimensions: Dimensions) -> str:
    """Return why there are no steps, in a few words; ``""`` where there are."""
    return "" if dimensions.times else "its outputs have no times that follow a known first state"


def unfit_for_scale(subject: Subject) -> str:
    """Return why errors relative to the truth at a time are none, in a few words; ``""`` where they are."""
    for name, truth in subject.truth.items():
        if not np.all(np.any(truth, axis=space_axes(subject.dimensions, name))):
            return f"the truth of {name!r} is zero everywhere at a time"
    return ""


def nrmse(subject: Subject) -> np.ndarray:
    """Return the normalised root mean square error of every time, ``(n, steps)`` float64: the mean over the outputs."""
    return _averaged([normalised_rmse_by_time(*_of(subject, name)) for name in subject.truth])


def vrmse(subject: Subject, epsilon: float = EPSILON) -> np.ndarray:
    """Return the error scaled by the variance of every time, ``(n, steps)`` float64: the mean over the outputs."""
    return _averaged([variance_scaled_rmse_by_time(*_of(subject, name), epsilon) for name in subject.truth])


def correlation(subject: Subject) -> np.ndarray:
    """Return the correlation with the truth at every time, ``(n, steps)`` float64: the mean over the outputs."""
    return _averaged([correlation_by_time(*_of(subject, name)) for name in subject.truth])


def space_axes(dimensions: Dimensions, name: str) -> tuple[int, ...]:
    """Return the axes of space of an output ``(n, *dims)``."""
    return tuple(1 + dimensions.variables[name].index(dim) for dim in dimensions.space)


def time_axis(dimensions: Dimensions, name: str) -> int:
    """Return the axis of time of an output ``(n, *dims)``."""
    return 1 + dimensions.variables[name].index(TIME)


def _of(subject: Subject, name: str) -> tuple[np.ndarray, np.ndarray, int, tuple[int, ...]]:
    axes = time_axis(subject.dimensions, name), space_axes(subject.dimensions, name)
    return subject.prediction[name], subject.truth[name], *axes


def _averaged(outputs: list[np.ndarray]) -> np.ndarray:
    mean: np.ndarray = np.mean(outputs, axis=0)
    return mean
