from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.problems.gaussian import Edges, Gaussian
from ritz.compute.problems.laws import Lognormal

EDGES: list[Edges] = ["free", "zero", "periodic"]
SHAPES = [(24,), (16, 20), (8, 10, 12)]


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_id_has_the_same_bits_in_any_block_and_order(edges, shape):
    law, ids = Gaussian(modes=8), np.arange(9)
    whole = law.draw(3, ids, shape, edges)
    order = np.random.default_rng(0).permutation(9)
    assert np.array_equal(law.draw(3, order, shape, edges), whole[order])
    assert np.array_equal(np.concatenate([law.draw(3, ids[i : i + 4], shape, edges) for i in (0, 4, 8)]), whole)


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_finer_grid_shows_the_same_field(edges, shape):
    # The centre of a cell is the centre of the middle one of its thirds.
    law = Gaussian(modes=3)
    coarse = law.draw(5, np.array([7]), shape, edges)
    fine = law.draw(5, np.array([7]), tuple(3 * cells for cells in shape), edges)
    assert fine[(slice(None), *[slice(1, None, 3)] * len(shape))] == pytest.approx(coarse, abs=1e-12)


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("shape", [(16, 20), (5, 9)], ids=str)
def test_modes_a_grid_cannot_resolve_are_dropped(edges, shape):
    assert np.isfinite(Gaussian(modes=64).draw(0, np.array([1]), shape, edges)).all()


def test_edges_are_what_they_say():
    law, n = Gaussian(tau=5.0, alpha=4.0, modes=8), 128
    free, zero, ring = (law.draw(0, np.arange(50), (n,), edges) for edges in EDGES)
    slopes = np.abs(np.diff(free, axis=1)) * n
    assert slopes[:, 0].max() < 0.05 * slopes.max()
    assert np.abs(1.5 * zero[:, 0] - 0.5 * zero[:, 1]).max() < 1e-3 * np.abs(zero).max()
    jumps = np.abs(ring - np.roll(ring, 1, axis=1))
    assert jumps[:, 0].max() < 1.2 * jumps[:, 1:].max()
    assert np.abs(free.mean(axis=1)).max() < 1e-12
    assert np.abs(ring.mean(axis=1)).max() < 1e-12


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("shape", [(64,), (24, 24), (16, 16, 16)], ids=str)
def test_variance_over_the_box_is_one(edges, shape):
    fields = Gaussian(modes=8 if edges != "periodic" else 4).draw(0, np.arange(800 // len(shape) ** 2), shape, edges)
    assert np.mean(fields**2) == pytest.approx(1, rel=0.1)


def test_covariance_is_that_of_the_operator():
    # Coefficients of the plane waves cos θ + sin θ with one and with three periods.
    law, n = Gaussian(tau=5.0, alpha=2.0), 64
    fields = law.draw(0, np.arange(4000), (n,), "periodic")
    angles = 2 * np.pi * np.outer([1, 3], (np.arange(n) + 0.5) / n)
    found = (fields @ (np.cos(angles) + np.sin(angles)).T / n).var(axis=0)
    expected = ((4 * np.pi**2 * 9 + 25) / (4 * np.pi**2 + 25)) ** -2
    assert found[1] / found[0] == pytest.approx(expected, rel=0.1)


def test_streams_and_laws_have_numbers_of_their_own():
    ids = np.arange(300)
    first, second = (Gaussian().draw(0, ids, (8, 8), stream=stream).reshape(300, -1) for stream in (0, 1))
    third = np.log(Lognormal(modes=32).draw(0, ids, (8, 8))).reshape(300, -1)
    for a, b in ((first, second), (first, third)):
        correlation = np.mean(a * b) / np.sqrt(np.mean(a**2) * np.mean(b**2))
        assert abs(correlation) < 0.1


@pytest.mark.parametrize(("field", "value"), [("tau", 0.0), ("alpha", 1.5), ("modes", 1), ("sigma", 1.0)])
def test_a_bad_field_is_named(field, value):
    with pytest.raises(ValidationError, match=field):
        Gaussian(**{field: value})
