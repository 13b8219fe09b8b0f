from __future__ import annotations

import numpy as np

BANDS: dict[str, tuple[float, float]] = {"low": (0.0, 0.125), "mid": (0.125, 0.5), "high": (0.5, np.inf)}
"""Bands of the wavenumber, as half-open intervals of fractions of the largest one an axis resolves."""


def relative_l2(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return ``‖prediction − truth‖₂ / ‖truth‖₂`` of every sample.

    Parameters
    ----------
    prediction, truth
        ``(n, *space)``, real; computed in float64.

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
    prediction, truth = _checked(prediction, truth)
    return _norm(prediction - truth) / _nonzero(_norm(truth))


def relative_h1(prediction: np.ndarray, truth: np.ndarray, lengths: tuple[float, ...] | None = None) -> np.ndarray:
    """Return the error in the norm ``(‖u‖² + ‖∇u‖²)^½``, relative to the truth's, of every sample.

    Derivatives are second-order differences on an evenly spaced grid.

    Parameters
    ----------
    prediction, truth
        ``(n, *space)``, at least 3 points an axis.
    lengths
        Extent of the domain along each axis, the spacing times the number of points; 1 by default.

    Returns
    -------
    error
        ``(n,)`` float64.

    Raises
    ------
    ValueError
        If the shapes differ, an axis has less than 3 points, or a truth is zero everywhere.
    """
    prediction, truth = _checked(prediction, truth)
    space = truth.shape[1:]
    lengths = lengths or (1.0,) * len(space)
    if len(lengths) != len(space) or min(space) < 3:
        raise ValueError(f"lengths is {lengths} on a grid {space}, expected one an axis and 3 points or more")
    spacings = [length / n for length, n in zip(lengths, space, strict=True)]

    def norm(field: np.ndarray) -> np.ndarray:
        squares = _norm(field) ** 2
        for axis, spacing in enumerate(spacings, start=1):
            squares += _norm(np.gradient(field, spacing, axis=axis, edge_order=2)) ** 2
        return np.sqrt(squares)

    return norm(prediction - truth) / _nonzero(norm(truth))


def relative_max(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return ``max|prediction − truth| / max|truth|`` of every sample, ``(n,)`` float64.

    Raises
    ------
    ValueError
        If the shapes differ or a truth is zero everywhere.
    """
    prediction, truth = _checked(prediction, truth)
    axes = tuple(range(1, truth.ndim))
    return np.abs(prediction - truth).max(axis=axes) / _nonzero(np.abs(truth).max(axis=axes))


def spectral(prediction: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Return the part of the error in every band of `BANDS`, relative to ``‖truth‖₂``.

    The squares of the bands add up to the square of `relative_l2`. The spectrum is the orthonormal cosine
    transform, which needs no periodic field. Mode ``k`` of an axis with ``n`` points is the fraction ``k / n``;
    the fraction of a mode is the largest among its axes.

    Parameters
    ----------
    prediction, truth
        ``(n, *space)``.

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

    prediction, truth = _checked(prediction, truth)
    error = dctn(prediction - truth, axes=tuple(range(1, truth.ndim)), norm="ortho")
    fractions = np.zeros(truth.shape[1:])
    for axis, count in enumerate(truth.shape[1:]):
        line = np.expand_dims(np.arange(count) / count, tuple(i for i in range(fractions.ndim) if i != axis))
        fractions = np.maximum(fractions, line)
    whole = _nonzero(_norm(truth))
    return {
        name: _norm(error * ((fractions >= low) & (fractions < high))) / whole for name, (low, high) in BANDS.items()
    }


def summary(values: np.ndarray) -> dict[str, float]:
    """Return ``mean``, ``median``, ``p95`` and ``max`` over the samples.

    Raises
    ------
    ValueError
        If there is no sample or a value is not finite.
    """
    values = np.asarray(values, np.float64)
    if values.size == 0 or not np.all(np.isfinite(values)):
        bad = np.flatnonzero(~np.isfinite(values))[:5].tolist()
        raise ValueError(f"got {values.size} values, not finite at {bad}: expected at least one, all of them finite")
    return {
        "mean": float(values.mean()),
        "median": float(np.median(values)),
        "p95": float(np.quantile(values, 0.95)),
        "max": float(values.max()),
    }


def _checked(prediction: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both in float64, of one shape with a sample axis."""
    if prediction.shape != truth.shape or truth.ndim < 2:
        raise ValueError(
            f"prediction has shape {prediction.shape} and truth {truth.shape}, expected one shape (n, *space)"
        )
    return prediction.astype(np.float64), truth.astype(np.float64)


def _norm(field: np.ndarray) -> np.ndarray:
    """Return the Euclidean norm of every sample."""
    return np.linalg.norm(field.reshape(len(field), -1), axis=1)


def _nonzero(norms: np.ndarray) -> np.ndarray:
    """Return the norms, or name the samples whose truth is zero."""
    if np.any(norms == 0):
        raise ValueError(f"the truth is zero everywhere in samples {np.flatnonzero(norms == 0)[:5].tolist()}")
    return norms
