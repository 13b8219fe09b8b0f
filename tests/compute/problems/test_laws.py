from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from compute.problems.laws import Lognormal


def test_an_id_has_the_same_bits_in_any_block_and_order():
    law, ids = Lognormal(), np.arange(12)
    whole = law.draw(3, ids, (16, 16))
    order = np.random.default_rng(0).permutation(12)
    assert np.array_equal(law.draw(3, order, (16, 16)), whole[order])
    assert np.array_equal(np.concatenate([law.draw(3, ids[i : i + 5], (16, 16)) for i in (0, 5, 10)]), whole)


def test_ids_and_seeds_give_different_fields():
    law = Lognormal()
    a = law.draw(0, np.array([0, 1, 2]), (8, 8))
    b = law.draw(1, np.array([0, 1, 2]), (8, 8))
    log = np.log(np.concatenate([a, b])).reshape(6, -1)
    assert np.all(np.linalg.norm(log[:, None] - log[None], axis=2)[~np.eye(6, dtype=bool)] > 1)


@pytest.mark.parametrize("shape", [(16, 16), (16, 20), (8, 16)])
def test_a_finer_grid_shows_the_same_field(shape):
    # The centre of a cell is the centre of the middle one of its thirds.
    law = Lognormal(modes=8)
    coarse = law.draw(5, np.array([7]), shape)
    fine = law.draw(5, np.array([7]), tuple(3 * cells for cells in shape))
    assert fine[:, 1::3, 1::3] == pytest.approx(coarse, rel=1e-12)


def test_modes_a_grid_cannot_resolve_are_dropped():
    law = Lognormal(modes=64)
    fine = np.log(law.draw(0, np.array([1]), (192, 192)))[0]
    coarse = np.log(law.draw(0, np.array([1]), (16, 16)))[0]
    cosines = np.cos(np.pi * np.outer((np.arange(192) + 0.5) / 192, np.arange(16)))
    cosines *= np.where(np.arange(16) > 0, np.sqrt(2), 1)
    leading = cosines.T @ fine @ cosines / 192**2
    assert (cosines @ leading @ cosines.T)[6::12, 6::12] == pytest.approx(coarse, abs=0.2)
    small = np.cos(np.pi * np.outer((np.arange(16) + 0.5) / 16, np.arange(16)))
    small *= np.where(np.arange(16) > 0, np.sqrt(2), 1)
    assert small @ leading @ small.T == pytest.approx(coarse, abs=1e-12)


@pytest.mark.parametrize("sigma", [1.0, 0.5])
def test_variance_over_the_square_is_sigma_squared(sigma):
    log = np.log(Lognormal(sigma=sigma).draw(0, np.arange(600), (32, 32)))
    assert np.mean(log**2) == pytest.approx(sigma**2, rel=0.05)
    assert np.abs(log.mean(axis=(1, 2))).max() < 1e-12


def test_contrast_is_about_100_by_default():
    a = Lognormal().draw(0, np.arange(200), (64, 64)).reshape(200, -1)
    assert 90 < np.median(a.max(axis=1) / a.min(axis=1)) < 130


def test_amplitudes_follow_the_covariance():
    law = Lognormal(tau=3.0, alpha=2.0, modes=32)
    variance = law.amplitudes() ** 2
    assert variance.sum() == pytest.approx(1)
    expected = ((np.pi**2 * 25 + 9) / (np.pi**2 * 1 + 9)) ** -2
    assert variance[3, 4] / variance[0, 1] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("field", "value"), [("tau", 0.0), ("alpha", 1.0), ("sigma", -1.0), ("modes", 1), ("sigma", float("nan"))]
)
def test_a_bad_field_is_named(field, value):
    with pytest.raises(ValidationError, match=field):
        Lognormal(**{field: value})
