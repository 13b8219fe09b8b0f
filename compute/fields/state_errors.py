"""Errors of fields that are taken state by state; a state is the field at one time, or one of its components."""

from __future__ import annotations

import numpy as np

from ritz.compute.fields.errors import checked, nonzero, norms


def normalised_rmse(prediction: np.ndarray, truth: np.ndarray, space: tuple[int, ...] | None = None) -> np.ndarray:
    """Return the root mean square over space of the error, relative to that of the truth, of every sample.

    The mean over all states, which are what lies along the axes that are not of space (times, components); every state
    is relative to its own size. States that are zero everywhere in the truth are left out. Of a field with one state it
    is `relative_l2`.

    Parameters
    ----------
    prediction, truth
        ``(n, *dims)``, real; computed in float64.
    space
        The axes of space, as axes of the arrays; all after the sample by default.

    Returns
    -------
    error
        ``(n,)`` float64.

    Raises
    ------
    ValueError
        If the shapes differ or a truth is zero everywhere.

    Examples
    --------
    >>> normalised_rmse(np.array([[[3.0, 5.0], [0.0, 1.0]]]), np.array([[[3.0, 4.0], [0.0, 2.0]]]), space=(2,))
    array([0.35])
    """
    prediction, truth = checked(prediction, truth)
    error, size = (np.sqrt(np.mean(_states(one, space) ** 2, axis=2)) for one in (prediction - truth, truth))
    nonzero(norms(truth))
    there = size > 0
    values: np.ndarray = np.sum(np.where(there, error / np.where(there, size, 1.0), 0.0), axis=1) / there.sum(axis=1)
    return values


def variance_scaled_rmse(
    prediction: np.ndarray, truth: np.ndarray, space: tuple[int, ...] | None = None, epsilon: float = 0.0
) -> np.ndarray:
    """Return ``(mean |û − u|² / (var u + epsilon))^½`` over space, the mean over all states, of every sample.

    A prediction that is the mean of each state over space has an error of nearly 1. The variance is that of a sample,
    with the number of points less one below. States are as in `normalised_rmse`.

    Parameters
    ----------
    prediction, truth
        ``(n, *dims)``, real, at least two points along space; computed in float64.
    space
        The axes of space, as axes of the arrays; all after the sample by default.
    epsilon
        Keeps constant states from a division by zero; in the square of the units of the field.

    Returns
    -------
    error
        ``(n,)`` float64.

    Raises
    ------
    ValueError
        If the shapes differ, there is one point alone, or a state is constant and ``epsilon`` is 0.

    Examples
    --------
    >>> variance_scaled_rmse(np.array([[2.0, 2.0, 2.0, 2.0]]), np.array([[1.0, 1.0, 3.0, 3.0]])).round(3)
    array([0.866])
    """
    prediction, truth = checked(prediction, truth)
    states = _states(truth, space)
    if states.shape[2] < 2:
        raise ValueError(f"truth has shape {truth.shape}, expected at least two points along space for a variance")
    variance = states.var(axis=2, ddof=1) + epsilon
    if np.any(variance == 0):
        constant = np.flatnonzero(np.any(variance == 0, axis=1))[:5].tolist()
        raise ValueError(f"the truth is constant over space in samples {constant}, expected epsilon above 0 for these")
    values: np.ndarray = np.sqrt(np.mean(_states(prediction - truth, space) ** 2, axis=2) / variance).mean(axis=1)
    return values


def relative_integral(prediction: np.ndarray, truth: np.ndarray, space: tuple[int, ...] | None = None) -> np.ndarray:
    """Return ``|∫û − ∫u| / ∫|u|`` over space, of every sample; of several states ``‖∫û − ∫u‖ / ‖∫|u|‖`` over them.

    The points are taken to have equal volumes. The magnitude of the truth is below, not its integral, since that
    vanishes for waves.

    Parameters
    ----------
    prediction, truth
        ``(n, *dims)``, real; computed in float64.
    space
        The axes of space, as axes of the arrays; all after the sample by default.

    Returns
    -------
    error
        ``(n,)`` float64.

    Raises
    ------
    ValueError
        If the shapes differ or a truth is zero everywhere.

    Examples
    --------
    >>> relative_integral(np.array([[1.0, 2.0, 5.0]]), np.array([[1.0, -3.0, 4.0]]))
    array([0.75])
    """
    prediction, truth = checked(prediction, truth)
    change = _states(prediction - truth, space).sum(axis=2)
    values: np.ndarray = norms(change) / nonzero(norms(np.abs(_states(truth, space)).sum(axis=2)))
    return values


def _states(field: np.ndarray, space: tuple[int, ...] | None) -> np.ndarray:
    """Return a field as ``(n, states, points)``: the axes of space last, and in one."""
    axes = tuple(range(1, field.ndim)) if space is None else space
    moved = np.moveaxis(field, axes, range(field.ndim - len(axes), field.ndim))
    others = field.ndim - len(axes)
    return moved.reshape(len(field), int(np.prod(moved.shape[1:others], dtype=int)), -1)
