"""At which wavelengths the energy of states lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ritz.compute.evaluation.rollouts.by_step import space_axes, time_axis
from ritz.compute.fields.dimensions import Dimensions

MOST_TIMES = 3
"""Spectra are kept of at most so many times: the first, the last and those in the middle."""


def unfit(dimensions: Dimensions) -> str:
    """Return why there are no spectra, in a few words; ``""`` where there are."""
    if dimensions.lengths is None:
        return "it needs a grid of even spacing"
    return "it needs two points or more along every axis" if min(dimensions.shape) < 2 else ""


def shown_steps(steps: int) -> np.ndarray:
    """Return the steps, from 0, whose spectra are kept, ``(count,)``.

    Examples
    --------
    >>> shown_steps(20), shown_steps(2)
    (array([ 0, 10, 19]), array([0, 1]))
    """
    return np.unique(np.linspace(0, steps - 1, min(steps, MOST_TIMES)).round().astype(int))


def spectra(
    values: np.ndarray, dimensions: Dimensions, name: str, rings: Sequence[str], steps: np.ndarray
) -> np.ndarray:
    """Return the energy of an output at some steps by wavenumber, see `energy_spectrum`: the sum over components.

    Parameters
    ----------
    values
        ``(n, *dims)`` of the output.
    rings
        Dimensions of space that close to a ring.
    steps
        ``(count,)`` from 0.

    Returns
    -------
    energy
        ``(n, count, wavenumbers)`` float64, in the square of the unit of the output.
    """
    assert dimensions.lengths is not None
    at_steps = np.take(values, steps, axis=time_axis(dimensions, name))
    axes = (time_axis(dimensions, name), *space_axes(dimensions, name))
    first = at_steps.ndim - len(axes)
    moved = np.moveaxis(at_steps, axes, range(first, at_steps.ndim))
    _, energy = energy_spectrum(moved, dimensions.lengths, tuple(dim in rings for dim in dimensions.space))
    total: np.ndarray = energy.reshape(len(values), -1, *energy.shape[-2:]).sum(axis=1)
    return total


def wavenumbers(dimensions: Dimensions, rings: Sequence[str]) -> np.ndarray:
    """Return those of `spectra`, ``(wavenumbers,)``, in radians per unit of length, from 0."""
    assert dimensions.lengths is not None
    return _shells(dimensions.shape, dimensions.lengths, tuple(dim in rings for dim in dimensions.space))[0]


def energy_spectrum(
    fields: np.ndarray, lengths: Sequence[float], rings: Sequence[bool]
) -> tuple[np.ndarray, np.ndarray]:
    """Return how the mean square of fields over space is made up of waves.

    Along a ring the waves are those of Fourier, between walls cosines, which need no periodic field. The energies of
    all waves whose wavenumber rounds to a multiple of the largest fundamental one are added: over all wavenumbers they
    add up to the mean square.

    Parameters
    ----------
    fields
        ``(..., *space)`` on a grid of even spacing.
    lengths, rings
        Extent of the box along each axis of space, and whether that closes to a ring.

    Returns
    -------
    wavenumbers
        ``(wavenumbers,)`` float64, in radians per unit of length, from 0.
    energy
        ``(..., wavenumbers)`` float64.

    Examples
    --------
    >>> x = 2 * np.pi * (np.arange(8) + 0.5) / 8
    >>> wavenumbers, energy = energy_spectrum(3 + 2 * np.sin(2 * x), (2 * np.pi,), (True,))
    >>> wavenumbers, energy.round(12)
    (array([0., 1., 2., 3., 4.]), array([9., 0., 2., 0., 0.]))
    """
    from scipy.fft import dctn, fftn

    space = fields.shape[fields.ndim - len(rings) :]
    found, shell = _shells(space, lengths, rings)
    axes = range(fields.ndim - len(rings), fields.ndim)
    between_walls = [axis for axis, ring in zip(axes, rings, strict=True) if not ring]
    around = [axis for axis, ring in zip(axes, rings, strict=True) if ring]
    coefficients = dctn(fields.astype(np.float64), axes=between_walls, norm="ortho") if between_walls else fields
    coefficients = fftn(coefficients, axes=around, norm="ortho") if around else coefficients
    energy = (np.abs(coefficients) ** 2).reshape(-1, shell.size) / shell.size
    rows = [np.bincount(shell.ravel(), row, minlength=len(found)) for row in energy]
    return found, np.reshape(rows, (*fields.shape[: fields.ndim - len(rings)], len(found)))


def _shells(space: Sequence[int], lengths: Sequence[float], rings: Sequence[bool]) -> tuple[np.ndarray, np.ndarray]:
    """Return the wavenumbers, and which of them each coefficient belongs to, ``(*space)``."""
    waves = [
        2 * np.pi * np.abs(np.fft.fftfreq(points, length / points)) if ring else np.pi * np.arange(points) / length
        for points, length, ring in zip(space, lengths, rings, strict=True)
    ]
    unit = max(wave[1] for wave in waves)
    squares = sum(wave**2 for wave in np.meshgrid(*waves, indexing="ij"))
    shell = np.rint(np.sqrt(squares) / unit).astype(int)
    return unit * np.arange(shell.max() + 1), shell
