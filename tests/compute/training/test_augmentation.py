from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.training.samples.augmentation import averages, check_symmetries, symmetries, transform


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


def _dimensions(space: tuple[str, ...], points: int = 8, **variables: tuple[str, ...]) -> Dimensions:
    sizes = dict.fromkeys(space, points) | {"time": 3, "mode": 5}
    return Dimensions(space=space, sizes=sizes, variables=variables, inputs=tuple(n for n in variables if n != "u"))


def test_symmetries_move_space_alone() -> None:
    plane = _dimensions(("y", "x"), a=("y", "x"), nu=(), p=("mode",), u=("time", "y", "x"))
    for kind in ("square", "flips", "none"):
        check_symmetries(kind, plane)
    check_symmetries("flips", _dimensions(("y", "x"), west=("y",), u=("y", "x")))
    check_symmetries("none", _dimensions(("node",), u=("node",)))


@pytest.mark.parametrize(
    ("kind", "dimensions", "said"),
    [
        ("square", _dimensions(("y", "x"), west=("y",), u=("y", "x")), r"the variables \['west'\] lie along some"),
        ("flips", _dimensions(("node",), u=("node",)), "nodes of a mesh"),
        ("hexagon", _dimensions(("x",), u=("x",)), "symmetries is 'hexagon'"),
        (
            "square",
            _dimensions(("y", "x"), u=("y", "x")).model_copy(update={"sizes": {"y": 8, "x": 12}}),
            r"'square' on a grid of \(8, 12\) points",
        ),
    ],
)
def test_symmetries_that_the_variables_cannot_have_are_refused(kind: str, dimensions: Dimensions, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_symmetries(kind, dimensions)
