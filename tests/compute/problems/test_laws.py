from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.problems.laws import Lognormal, TwoPhase


@pytest.mark.parametrize("shape", [(16, 16), (6, 7, 8)], ids=str)
@pytest.mark.parametrize("law", [Lognormal(), TwoPhase()], ids=lambda law: law.kind)
def test_an_id_has_the_same_bits_in_any_block_and_order(law, shape):
    ids = np.arange(12)
    whole = law.draw(3, ids, shape)
    order = np.random.default_rng(0).permutation(12)
    assert np.array_equal(law.draw(3, order, shape), whole[order])
    assert np.array_equal(np.concatenate([law.draw(3, ids[i : i + 5], shape) for i in (0, 5, 10)]), whole)


def test_an_id_keeps_its_field_from_version_to_version():
    # A dataset is known by its law, not by what that gave.
    found = Lognormal().draw(3, np.array([20]), (8, 8))[0, 0, :3]
    assert found == pytest.approx([3.42155170, 0.54714966, 0.25244841], rel=1e-7)


def test_ids_and_seeds_give_different_fields():
    law = Lognormal()
    a = law.draw(0, np.array([0, 1, 2]), (8, 8))
    b = law.draw(1, np.array([0, 1, 2]), (8, 8))
    log = np.log(np.concatenate([a, b])).reshape(6, -1)
    assert np.all(np.linalg.norm(log[:, None] - log[None], axis=2)[~np.eye(6, dtype=bool)] > 1)


@pytest.mark.parametrize("shape", [(16, 16), (16, 20), (8, 16), (8, 9, 10)])
def test_a_finer_grid_shows_the_same_field(shape):
    # The centre of a cell is the centre of the middle one of its thirds.
    law = Lognormal(modes=8)
    coarse = law.draw(5, np.array([7]), shape)
    fine = law.draw(5, np.array([7]), tuple(3 * cells for cells in shape))
    assert fine[:, *(slice(1, None, 3),) * len(shape)] == pytest.approx(coarse, rel=1e-12)


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


@pytest.mark.parametrize(
    ("law", "shape"),
    [(Lognormal(), (32, 32)), (Lognormal(sigma=0.5), (32, 32)), (Lognormal(modes=12), (12, 12, 12))],
    ids=["square", "sigma", "cube"],
)
def test_variance_over_the_box_is_sigma_squared(law, shape):
    log = np.log(law.draw(0, np.arange(600), shape)).reshape(600, -1)
    assert np.mean(log**2) == pytest.approx(law.sigma**2, rel=0.05)
    assert np.abs(log.mean(axis=1)).max() < 1e-12


def test_contrast_is_about_100_by_default():
    a = Lognormal().draw(0, np.arange(200), (64, 64)).reshape(200, -1)
    assert 90 < np.median(a.max(axis=1) / a.min(axis=1)) < 130


def test_amplitudes_follow_the_covariance():
    law = Lognormal(tau=3.0, alpha=2.0, modes=32)
    variance = law.amplitudes() ** 2
    assert variance.sum() == pytest.approx(1)
    expected = ((np.pi**2 * 25 + 9) / (np.pi**2 * 1 + 9)) ** -2
    assert variance[3, 4] / variance[0, 1] == pytest.approx(expected)
    cube = law.amplitudes(axes=3) ** 2
    assert cube.sum() == pytest.approx(1)
    assert cube[3, 4, 0] / cube[0, 1, 0] == cube[0, 4, 3] / cube[1, 0, 0] == pytest.approx(expected)


def test_there_are_fewer_modes_in_a_cube_unless_asked_for():
    law = Lognormal()
    assert [law.amplitudes(axes).shape for axes in (1, 2, 3)] == [(64,), (64, 64), (32, 32, 32)]
    assert Lognormal(modes=7).amplitudes(3).shape == (7, 7, 7)


@pytest.mark.parametrize("shape", [(24, 20), (8, 9, 10)], ids=str)
def test_two_phases_lie_where_the_gaussian_field_is_above_and_below_zero(shape):
    ids = np.arange(4)
    log = np.log(Lognormal(tau=5.0).draw(0, ids, shape))
    a = TwoPhase(low=0.25, high=1000, tau=5.0).draw(0, ids, shape)
    assert np.array_equal(a, np.where(log >= 0, 1000, 0.25))


def test_two_phases_are_by_default_those_of_the_literature():
    a = TwoPhase().draw(0, np.arange(300), (32, 32))
    assert set(np.unique(a)) == {3.0, 12.0}
    assert np.mean(a == 12) == pytest.approx(0.5, abs=0.02)
    # Covariance (−Δ + 9)⁻², Neumann, on the sign too: cells that are neighbours are mostly of one phase.
    assert np.mean(a[:, 1:] == a[:, :-1]) > 0.9


@pytest.mark.parametrize(
    ("field", "value"), [("tau", 0.0), ("alpha", 1.0), ("sigma", -1.0), ("modes", 1), ("sigma", float("nan"))]
)
def test_a_bad_field_is_named(field, value):
    with pytest.raises(ValidationError, match=field):
        Lognormal(**{field: value})


@pytest.mark.parametrize(("low", "high"), [(12, 3), (3, 3), (0, 3), (3, float("inf"))])
def test_phases_that_are_no_two_are_refused(low, high):
    with pytest.raises(ValidationError, match=r"low|high"):
        TwoPhase(low=low, high=high)


@pytest.mark.parametrize("law", [Lognormal(alpha=1.5), TwoPhase(alpha=1.5)], ids=lambda law: law.kind)
def test_a_law_is_refused_where_its_variance_would_be_infinite(law):
    law.check(2)
    with pytest.raises(ValueError, match=r"law.alpha is 1.5, expected more than 1.5 in 3 dimensions"):
        law.check(3)
    with pytest.raises(ValueError, match=r"law.alpha"):
        law.draw(0, np.arange(1), (4, 4, 4))
