from __future__ import annotations

import numpy as np

BANDS: dict[str, tuple[float, float]] = {"low": (0.0, 0.125), "mid": (0.125, 0.5), "high": (0.5, np.inf)}
"""Bands of the wavenumber, as half-open intervals of fractions of the largest that an axis resolves."""


def relative_l2(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return ``‖prediction − truth‖₂ / ‖truth‖₂`` of every sample.

    Parameters
    ----------
    prediction, truth
        ``(n, *dims)``, real; computed in float64. All points and times count the same.

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
    >>> relative_l2(np.array([[3.0, 5.0]]), np.array([[3.0, 4.0]]))
    array([0.2])
    """
    prediction, truth = checked(prediction, truth)
    values: np.ndarray = norms(prediction - truth) / nonzero(norms(truth))
    return values


def relative_h1(
    prediction: np.ndarray,
    truth: np.ndarray,
    lengths: tuple[float, ...] | None = None,
    space: tuple[int, ...] | None = None,
) -> np.ndarray:
    """Return the error in the norm ``(‖u‖² + ‖∇u‖²)^½``, relative to the truth's, of every sample.

    Derivatives are second-order differences on an evenly spaced grid; ∇ is along space alone.

    Parameters
    ----------
    prediction, truth
        ``(n, *dims)``, at least 3 points along an axis of space.
    lengths
        Extent of the domain along each axis of space, the spacing times the number of points; 1 by default.
    space
        The axes of space, as axes of the arrays; all after the sample by default.

    Returns
    -------
    error
        ``(n,)`` float64.

    Raises
    ------
    ValueError
        If the shapes differ, an axis has less than 3 points, or a truth is zero everywhere.
    """
    prediction, truth = checked(prediction, truth)
    axes = _space(truth, space)
    points = tuple(truth.shape[axis] for axis in axes)
    lengths = lengths or (1.0,) * len(axes)
    if len(lengths) != len(axes) or min(points) < 3:
        raise ValueError(f"lengths is {lengths} on a grid {points}, expected one per axis and 3 points or more")
    spacings = [length / n for length, n in zip(lengths, points, strict=True)]

    def norm(field: np.ndarray) -> np.ndarray:
        squares = norms(field) ** 2
        for axis, spacing in zip(axes, spacings, strict=True):
            squares += norms(np.gradient(field, spacing, axis=axis, edge_order=2)) ** 2
        values: np.ndarray = np.sqrt(squares)
        return values

    values: np.ndarray = norm(prediction - truth) / nonzero(norm(truth))
    return values


def relative_max(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return ``max|prediction − truth| / max|truth|`` of every sample, ``(n,)`` float64.

    Raises
    ------
    ValueError
        If the shapes differ or a truth is zero everywhere.
    """
    prediction, truth = checked(prediction, truth)
    axes = tuple(range(1, truth.ndim))
    values: np.ndarray = np.abs(prediction - truth).max(axis=axes) / nonzero(np.abs(truth).max(axis=axes))
    return values


def spectral(prediction: np.ndarray, truth: np.ndarray, space: tuple[int, ...] | None = None) -> dict[str, np.ndarray]:
    """Return the part of the error in every band of `BANDS`, relative to ``‖truth‖₂``.

    The squares of the bands add up to the square of `relative_l2`. The spectrum is the orthonormal cosine
    transform over space, which needs no periodic field. Mode ``k`` of an axis with ``n`` points is the fraction
    ``k / n``; the fraction of a mode is the largest among its axes.

    Parameters
    ----------
    prediction, truth
        ``(n, *dims)``.
    space
        The axes of space, as axes of the arrays; all after the sample by default.

    Returns
    -------
    dict
        ``(n,)`` float64 by the name of the band.

    Raises
    ------
    ValueError
        If the shapes differ or a truth is zero everywhere.
    """
    from scipy.fft import dctn

    prediction, truth = checked(prediction, truth)
    axes = _space(truth, space)
    error = dctn(prediction - truth, axes=axes, norm="ortho")
    fractions = np.zeros((1,) * truth.ndim)
    for axis in axes:
        line = np.arange(truth.shape[axis]) / truth.shape[axis]
        fractions = np.maximum(fractions, np.expand_dims(line, tuple(i for i in range(truth.ndim) if i != axis)))
    whole = nonzero(norms(truth))
    return {
        name: norms(error * ((fractions >= low) & (fractions < high))) / whole for name, (low, high) in BANDS.items()
    }


def relative_l2_at(prediction: np.ndarray, truth: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return `relative_l2` over some of the values of a field alone.

    Parameters
    ----------
    prediction, truth
        ``(n, *dims)``.
    where
        ``(*dims)`` bool, or what can be repeated to it: the values that count.

    Returns
    -------
    error
        ``(n,)`` float64.

    Raises
    ------
    ValueError
        If the shapes differ or a truth is zero in all these values.
    """
    prediction, truth = checked(prediction, truth)
    places = np.broadcast_to(where, truth.shape[1:])
    return relative_l2(prediction[:, places], truth[:, places])


def summary(values: np.ndarray, *, large_is_good: bool = False) -> dict[str, float]:
    """Return ``mean``, ``median``, ``p95`` and ``max`` over the samples; where large is good ``p05`` and ``min`` too.

    Raises
    ------
    ValueError
        If there is no sample or a value is not finite.
    """
    values = np.asarray(values, np.float64)
    if values.size == 0 or not np.all(np.isfinite(values)):
        bad = np.flatnonzero(~np.isfinite(values))[:5].tolist()
        raise ValueError(f"got {values.size} values, not finite at {bad}: expected at least one, all of them finite")
    found = {
        "mean": float(values.mean()),
        "median": float(np.median(values)),
        "p95": float(np.quantile(values, 0.95)),
        "max": float(values.max()),
    }
    worst = {"p05": float(np.quantile(values, 0.05)), "min": float(values.min())} if large_is_good else {}
    return found | worst


def checked(prediction: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both in float64, of one shape with a sample axis."""
    if prediction.shape != truth.shape or truth.ndim < 2:
        raise ValueError(
            f"prediction has shape {prediction.shape} and truth {truth.shape}, expected one shape (n, *dims)"
        )
    return prediction.astype(np.float64), truth.astype(np.float64)


def _space(truth: np.ndarray, space: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the axes of space, all after the sample where they are not named."""
    return tuple(range(1, truth.ndim)) if space is None else space


def norms(field: np.ndarray) -> np.ndarray:
    """Return the Euclidean norm of every sample."""
    values: np.ndarray = np.linalg.norm(field.reshape(len(field), -1), axis=1)
    return values


def nonzero(values: np.ndarray) -> np.ndarray:
    """Return the norms, or name the samples whose truth is zero."""
    if np.any(values == 0):
        raise ValueError(f"the truth is zero everywhere in samples {np.flatnonzero(values == 0)[:5].tolist()}")
    return values
