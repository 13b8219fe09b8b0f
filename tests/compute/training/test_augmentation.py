from __future__ import annotations

import numpy as np
import pytest

from compute.training.augmentation import averages, symmetries, transform


@pytest.mark.parametrize(
    ("kind", "axes", "size"), [("square", 1, 2), ("square", 2, 8), ("flips", 2, 4), ("square", 3, 48), ("none", 2, 1)]
)
def test_the_group_has_its_size_and_no_element_twice(kind: str, axes: int, size: int) -> None:
    group = symmetries(kind, axes)
    assert len(group) == size
    fields = np.random.default_rng(0).standard_normal((1, 1, *(4,) * axes))
    moved = {transform(fields, group, np.array([index])).tobytes() for index in range(size)}
    assert len(moved) == size
    np.testing.assert_array_equal(transform(fields, group, np.array([0])), fields)


def test_every_sample_gets_its_own_symmetry_in_all_channels() -> None:
    group = symmetries("square", 2)
    fields = np.random.default_rng(0).standard_normal((2, 3, 4, 4))
    flip = group.index(((0, 1), (1,)))
    transpose = group.index(((1, 0), ()))
    moved = transform(fields, group, np.array([flip, transpose]))
    np.testing.assert_array_equal(moved[0], fields[0, :, :, ::-1])
    np.testing.assert_array_equal(moved[1], fields[1].transpose(0, 2, 1))


def test_averages_of_blocks_of_two() -> None:
    y, x = np.meshgrid(np.arange(4.0), np.arange(6.0), indexing="ij")
    means = averages((10 * y + x)[None, None].astype(np.float32))
    assert means.dtype == np.float32
    np.testing.assert_allclose(means[0, 0], 10 * np.array([[0.5], [2.5]]) + np.array([0.5, 2.5, 4.5]))


def test_an_unknown_symmetry_is_refused() -> None:
    with pytest.raises(ValueError, match="symmetries is 'hexagon', expected 'square', 'flips' or 'none'"):
        symmetries("hexagon", 2)
