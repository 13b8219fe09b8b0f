"""Errors of fields in time, a number per stored time."""

from __future__ import annotations

import numpy as np

from ritz.compute.fields.errors import checked


def normalised_rmse_by_time(prediction: np.ndarray, truth: np.ndarray, time: int, space: tuple[int, ...]) -> np.ndarray:
    """Return ``(mean |û − u|² / mean |u|²)^½`` over space at every time, the mean over components.

    Parameters
    ----------
    prediction, truth
        ``(n, *dims)``, real; computed in float64.
    time, space
        The axes of time and of space, as axes of the arrays. What lies along the others are components.

    Returns
    -------
    error
        ``(n, times)`` float64.

    Raises
    ------
    ValueError
        If the shapes differ, or the truth is zero everywhere at a time.

    Examples
    --------
    >>> truth, prediction = np.array([[[3.0, 4.0], [0.0, 2.0]]]), np.array([[[3.0, 5.0], [0.0, 1.0]]])
    >>> normalised_rmse_by_time(prediction, truth, 1, (2,))
    array([[0.2, 0.5]])
    """
    error, size = _error_and_truth(prediction, truth, time, space)
    below = np.sqrt(np.mean(size**2, axis=3))
    _refuse(below == 0, "zero everywhere")
    values: np.ndarray = (np.sqrt(np.mean(error**2, axis=3)) / below).mean(axis=2)
    return values


def variance_scaled_rmse_by_time(
    prediction: np.ndarray, truth: np.ndarray, time: int, space: tuple[int, ...], epsilon: float = 0.0
) -> np.ndarray:
    """Return ``(mean |û − u|² / (var u + epsilon))^½`` over space at every time, the mean over components.

    The variance is that of a sample, with the number of points less one below.

    Parameters
    ----------
    prediction, truth
        ``(n, *dims)``, real, at least two points along space; computed in float64.
    time, space
        As for `normalised_rmse_by_time`.
    epsilon
        Keeps constant states from a division by zero; in the square of the units of the field.

    Returns
    -------
    error
        ``(n, times)`` float64.

    Raises
    ------
    ValueError
        If the shapes differ, there is one point alone, or a state is constant and ``epsilon`` is 0.

    Examples
    --------
    >>> truth, prediction = np.array([[[1.0, 1.0, 3.0, 3.0]]]), np.array([[[2.0, 2.0, 2.0, 2.0]]])
    >>> variance_scaled_rmse_by_time(prediction, truth, 1, (2,)).round(3)
    array([[0.866]])
    """
    error, size = _error_and_truth(prediction, truth, time, space)
    if size.shape[3] < 2:
        raise ValueError(f"truth has shape {truth.shape}, expected at least two points along space for a variance")
    variance = size.var(axis=3, ddof=1) + epsilon
    _refuse(variance == 0, "constant over space, which needs epsilon above 0,")
    values: np.ndarray = np.sqrt(np.mean(error**2, axis=3) / variance).mean(axis=2)
    return values


def correlation_by_time(prediction: np.ndarray, truth: np.ndarray, time: int, space: tuple[int, ...]) -> np.ndarray:
    """Return Pearson's correlation over space of prediction and truth at every time, the mean over components.

    It is 0 where one of them is constant over space or not finite.

    Parameters
    ----------
    prediction, truth
        ``(n, *dims)``, real; computed in float64.
    time, space
        As for `normalised_rmse_by_time`.

    Returns
    -------
    correlation
        ``(n, times)`` float64, −1 to 1.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> truth, prediction = np.array([[[1.0, 2.0], [1.0, 2.0]]]), np.array([[[3.0, 7.0], [2.0, 1.0]]])
    >>> correlation_by_time(prediction, truth, 1, (2,)).round(6)
    array([[ 1., -1.]])
    """
    fields = [by_time(one, time, space) for one in checked(prediction, truth)]
    with np.errstate(over="ignore", invalid="ignore"):
        ours, theirs = (field - field.mean(axis=3, keepdims=True) for field in fields)
        size = np.linalg.norm(ours, axis=3) * np.linalg.norm(theirs, axis=3)
        product = np.sum(ours * theirs, axis=3)
        there = np.isfinite(product) & np.isfinite(size) & (size > 0)
        values: np.ndarray = np.where(there, product / np.where(there, size, 1.0), 0.0).mean(axis=2)
    return values


def by_time(field: np.ndarray, time: int, space: tuple[int, ...]) -> np.ndarray:
    """Return a field ``(n, *dims)`` as ``(n, times, components, points)``: all that lies along space in one axis.

    The points are in the order of ``space``.
    """
    moved = np.moveaxis(field, (time, *space), (1, *range(field.ndim - len(space), field.ndim)))
    others = moved.shape[2 : field.ndim - len(space)]
    return moved.reshape(*moved.shape[:2], int(np.prod(others, dtype=int)), -1)


def _error_and_truth(
    prediction: np.ndarray, truth: np.ndarray, time: int, space: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return both as `by_time` does, float64."""
    prediction, truth = checked(prediction, truth)
    return by_time(prediction - truth, time, space), by_time(truth, time, space)


def _refuse(where: np.ndarray, what: str) -> None:
    """Refuse truths that are something at a time; ``where`` is ``(n, times, components)``."""
    if np.any(where):
        sample, time = np.argwhere(where)[0][:2].tolist()
        raise ValueError(f"the truth of sample {sample} is {what} at the time numbered {time}")
