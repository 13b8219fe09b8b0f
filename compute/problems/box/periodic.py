"""What problems on a periodic box of equal cells have in common: the waves that fit into it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=64)
def wave_numbers(shape: tuple[int, ...], length: float, *, whole: bool = False) -> tuple[np.ndarray, ...]:
    """Return the wave numbers 2πm/L of the modes along each axis, float64, shaped so that they are broadcast together.

    Parameters
    ----------
    shape
        Cells along each axis.
    length
        L, of every axis.
    whole
        Whether the modes are those of a complex transform; otherwise the last axis has those of a real field.
    """
    found = []
    for axis, cells in enumerate(shape):
        half = axis == len(shape) - 1 and not whole
        waves = np.fft.rfftfreq(cells, length / cells) if half else np.fft.fftfreq(cells, length / cells)
        found.append((2 * np.pi * waves).reshape(*(-1 if other == axis else 1 for other in range(len(shape)))))
        found[-1].flags.writeable = False
    return tuple(found)


@lru_cache(maxsize=64)
def slope_waves(shape: tuple[int, ...], length: float, *, whole: bool = False) -> tuple[np.ndarray, ...]:
    """Return the wave numbers that first derivatives along each axis multiply by: those of `wave_numbers`.

    Zero for the shortest wave of an even number of cells, whose slope vanishes at all centres.
    """
    found = []
    for cells, waves in zip(shape, wave_numbers(shape, length, whole=whole), strict=True):
        shortest = 2 * np.abs(np.rint(waves * length / (2 * np.pi))) == cells
        found.append(np.where(shortest, 0.0, waves))
        found[-1].flags.writeable = False
    return tuple(found)


@lru_cache(maxsize=64)
def resolved(shape: tuple[int, ...], *, whole: bool = False) -> np.ndarray:
    """Return which modes the product of two fields leaves right: those below a third of the cells along every axis.

    Source: the two-thirds rule of S. A. Orszag, "On the elimination of aliasing in finite-difference schemes by
    filtering high-wavenumber components", J. Atmos. Sci. 28 (1971).
    """
    waves = wave_numbers(shape, 2 * np.pi, whole=whole)
    kept = np.ones((1,) * len(shape), dtype=bool)
    for cells, along in zip(shape, waves, strict=True):
        kept = kept & (3 * np.abs(np.rint(along)) < cells)
    kept.flags.writeable = False
    return kept
