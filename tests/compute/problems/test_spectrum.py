from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.problems.spectrum import leading_cosines


@pytest.mark.parametrize("shape", [(40,), (12, 20), (6, 8, 10)], ids=str)
def test_distances_are_those_of_smooth_fields(shape):
    rng = np.random.default_rng(0)
    grids = np.meshgrid(*((np.arange(cells) + 0.5) / cells for cells in shape), indexing="ij")
    waves = [
        np.ones(shape),
        *(np.cos(np.pi * grid) for grid in grids),
        np.prod(np.cos(np.pi * np.array(grids)), axis=0),
    ]
    fields = np.tensordot(rng.standard_normal((7, len(waves))), waves, 1)
    distance = np.linalg.norm((fields[:, None] - fields[None]).reshape(7, 7, -1), axis=2) / np.sqrt(np.prod(shape))
    features = leading_cosines(fields)
    assert features.dtype == np.float32
    assert features.shape == (7, 16)
    assert np.linalg.norm(features[:, None] - features[None], axis=2) == pytest.approx(distance, abs=1e-5)


@pytest.mark.parametrize("shape", [(40,), (12, 20), (6, 8, 10)], ids=str)
def test_bits_do_not_depend_on_the_block(shape):
    fields = np.random.default_rng(1).standard_normal((9, *shape)).astype(np.float32)
    parts = [leading_cosines(fields[i : i + 4]) for i in (0, 4, 8)]
    assert np.array_equal(np.concatenate(parts), leading_cosines(fields))


def test_the_smoothest_come_first():
    x = (np.arange(32) + 0.5) / 32
    y = np.cos(2 * np.pi * x)
    field = np.cos(np.pi * x)[:, None] * y
    found = leading_cosines(field[None])[0]
    # Rising k² + l²: 00, 01, 10, 11, 02, 20, 12, with the first axis first.
    assert found[6] == pytest.approx(0.5, abs=1e-6)
    assert np.abs(np.delete(found, 6)).max() < 1e-6


def test_a_small_grid_has_fewer():
    assert leading_cosines(np.ones((3, 5))).shape == (3, 5)
