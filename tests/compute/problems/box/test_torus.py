from __future__ import annotations

import numpy as np
import pytest
import torch

from ritz.compute.problems.box.torus import around, outflow, star
from ritz.compute.solvers.operators import Matrices


@pytest.mark.parametrize("shape", [(7,), (5, 8)])
def test_two_ways_to_the_second_differences_agree(shape: tuple[int, ...]) -> None:
    u, squares = np.random.default_rng(0).standard_normal((2, 3, *shape)), (4.0, 9.0)[: len(shape)]
    wanted = 2 * sum(squares) * u - around(u, squares)
    np.testing.assert_allclose(outflow(u, squares), wanted, atol=1e-13)
    np.testing.assert_allclose(outflow(torch.from_numpy(u), squares), wanted, atol=1e-13)
    # What leaves a cell enters another.
    np.testing.assert_allclose(outflow(u, squares).reshape(6, -1).sum(axis=1), 0, atol=1e-12)


def test_waves_are_eigenvectors_of_the_second_differences() -> None:
    y, x = np.meshgrid(np.arange(6) / 6, np.arange(10) / 10, indexing="ij")
    wave = np.cos(2 * np.pi * (y + 3 * x))[None]
    wanted = 4 * (36 * np.sin(np.pi / 6) ** 2 + 100 * np.sin(3 * np.pi / 10) ** 2)
    np.testing.assert_allclose(outflow(wave, (36.0, 100.0)), wanted * wave, atol=1e-11)


@pytest.mark.parametrize(("shape", "fields"), [((3,), 1), ((4, 5), 1), ((3, 4), 2), ((3, 4, 5), 2)])
def test_entries_of_a_star_lie_where_it_says(shape: tuple[int, ...], fields: int) -> None:
    pattern, cells = star(shape, fields), int(np.prod(shape))
    assert len(pattern.pattern.indices) == fields * (fields + 2 * len(shape)) * cells
    values = np.empty((1, len(pattern.pattern.indices)))
    for field in range(fields):
        for other in range(fields):
            values[:, pattern.local[field, other]] = 100 * field + 10 * other + np.arange(cells) / cells
        for beside, places in enumerate(pattern.across[field]):
            values[:, places] = -100 * field - 10 * beside - 1 - np.arange(cells) / cells
    found = Matrices(values, pattern.pattern, (fields * cells,)).csr(0).toarray()
    grid = np.arange(cells).reshape(shape)
    for field in range(fields):
        here = field * cells + np.arange(cells)
        for other in range(fields):
            wanted = 100 * field + 10 * other + np.arange(cells) / cells
            np.testing.assert_array_equal(found[here, other * cells + np.arange(cells)], wanted)
        beside = 0
        for axis in range(len(shape)):
            for way in (1, -1):
                there = field * cells + np.roll(grid, way, axis).ravel()
                wanted = -100 * field - 10 * beside - 1 - np.arange(cells) / cells
                np.testing.assert_array_equal(found[here, there], wanted)
                beside += 1
    assert star(shape, fields).pattern is pattern.pattern
