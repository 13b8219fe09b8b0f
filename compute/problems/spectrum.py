from __future__ import annotations

import numpy as np

from ritz.compute.problems.box.grid import centres

FEATURES = 16
"""Coefficients kept."""


def leading_cosines(fields: np.ndarray) -> np.ndarray:
    """Return the cosine coefficients of lowest wave number of every sample, to order samples by.

    They are orthonormal: on a box of volume 1 their Euclidean distance is the L2 distance of the smooth parts of
    two fields. Nothing is multiplied across the samples, so a sample has the same bits in any block.

    Parameters
    ----------
    fields
        ``(n, *shape)`` values at the cell centres.

    Returns
    -------
    coefficients
        ``(n, min(16, cells))`` float32, by rising Σ k² over the axes.
    """
    shape = fields.shape[1:]
    waves = [min(FEATURES, cells) for cells in shape]
    # The axis in front keeps the product of a one-dimensional field from joining all samples in one.
    coefficients = fields.astype(np.float64)[:, None]
    for cells, count in zip(shape, waves, strict=True):
        angles = np.pi * np.outer(centres(cells), np.arange(count))
        cosines = np.cos(angles) * np.where(np.arange(count) > 0, np.sqrt(2), 1) / cells
        coefficients = np.moveaxis(coefficients, 2, -1) @ cosines
    squares = sum(np.meshgrid(*(np.arange(count) ** 2 for count in waves), indexing="ij", sparse=True))
    lowest = np.argsort(squares, axis=None, kind="stable")[:FEATURES]
    return coefficients.reshape(len(fields), -1)[:, lowest].astype(np.float32)
