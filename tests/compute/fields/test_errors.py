from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.fields.errors import relative_h1, relative_l2, relative_max, spectral, summary

N = 64
CENTRES = (np.arange(N) + 0.5) / N


def _sines(*waves: int) -> np.ndarray:
    return np.stack([np.sin(np.pi * k * CENTRES)[:, None] * np.sin(np.pi * CENTRES) for k in waves])


def test_relative_l2_of_orthogonal_sines() -> None:
    truth = _sines(1, 2)
    prediction = truth + np.array([0.1, 0.3])[:, None, None] * _sines(3, 5)
    np.testing.assert_allclose(relative_l2(prediction, truth), [0.1, 0.3], rtol=1e-12)
    assert relative_l2(prediction.astype(np.float32), truth.astype(np.float32)).dtype == np.float64


@pytest.mark.parametrize("n", [64, 128])
def test_relative_h1_of_sines_converges_at_second_order(n: int) -> None:
    x = (np.arange(n) + 0.5) / n
    truth, off = np.sin(np.pi * x)[None], np.sin(3 * np.pi * x)[None]
    # ‖sin kπx‖² = ½ and ‖(sin kπx)′‖² = ½ (kπ)².
    exact = 0.1 * np.sqrt((1 + 9 * np.pi**2) / (1 + np.pi**2))
    assert abs(relative_h1(truth + 0.1 * off, truth)[0] / exact - 1) < 1.1 * (3 * np.pi) ** 2 / (6 * n**2) * 1.1


def test_relative_h1_knows_the_lengths_of_the_domain() -> None:
    y, x = CENTRES[:, None], CENTRES
    truth, off = np.cos(np.pi * x) * np.ones_like(y), np.cos(2 * np.pi * y) * np.ones_like(x)
    got = relative_h1((truth + off)[None], truth[None], lengths=(4.0, 0.5))[0]
    exact = np.sqrt((1 + (2 * np.pi / 4) ** 2) / (1 + (np.pi / 0.5) ** 2))
    assert got == pytest.approx(exact, rel=3e-3)


@pytest.mark.parametrize("time_first", [True, False])
def test_slopes_and_waves_are_along_space_alone(time_first: bool) -> None:
    # States of very different size: what jumps along time is smooth in space.
    truth = np.array([1.0, 100.0, 1.0])[:, None] * np.cos(np.pi * CENTRES)
    wrong = np.array([0.0, 1.0, 0.0])[:, None] * np.cos(4 * np.pi * CENTRES)
    exact, found = truth[None], (truth + wrong)[None]
    if not time_first:
        exact, found = exact.swapaxes(1, 2), found.swapaxes(1, 2)
    space = (2,) if time_first else (1,)
    slopes = (1 + (4 * np.pi / 2) ** 2) / (1 + (np.pi / 2) ** 2)
    got = relative_h1(found, exact, lengths=(2.0,), space=space)[0]
    assert got == pytest.approx(np.sqrt(slopes / 10002), rel=0.01)
    bands = spectral(found, exact, space=space)
    np.testing.assert_allclose([band[0] for band in bands.values()], [1 / np.sqrt(10002), 0, 0], atol=1e-12)


def test_relative_max_of_a_single_wrong_point() -> None:
    truth = np.array([[1.0, -4.0, 2.0]])
    assert relative_max(truth + np.array([0, 0, 0.5]), truth)[0] == 0.125


def test_spectral_error_lands_in_its_band() -> None:
    def cosine(k: int) -> np.ndarray:
        return np.cos(np.pi * k * CENTRES)[None, :, None] * np.ones(N)

    truth = 2 * cosine(3)
    bands = spectral(truth + 0.1 * cosine(7) + 0.2 * cosine(8) - 0.3 * cosine(32), truth)
    assert list(bands) == ["low", "mid", "high"]
    np.testing.assert_allclose(np.concatenate(list(bands.values())), [0.05, 0.1, 0.15], rtol=1e-10)
    across = spectral((truth + 0.1 * cosine(40)).swapaxes(1, 2), truth.swapaxes(1, 2))
    assert across["high"][0] == pytest.approx(0.05)


def test_the_bands_together_hold_the_whole_error() -> None:
    truth, error = np.random.default_rng(0).standard_normal((2, 3, 12, 20))
    squares = sum(band**2 for band in spectral(truth + error, truth).values())
    np.testing.assert_allclose(np.sqrt(squares), relative_l2(truth + error, truth), rtol=1e-10)


def test_summary_in_closed_form() -> None:
    got = summary(np.arange(101.0))
    assert got == {"mean": 50.0, "median": 50.0, "p95": 95.0, "max": 100.0}
    with pytest.raises(ValueError, match=r"got 1 values, not finite at \[0\]"):
        summary(np.array([np.nan]))
    with pytest.raises(ValueError, match="got 0 values"):
        summary(np.array([]))


def test_bad_fields_are_named() -> None:
    with pytest.raises(ValueError, match=r"prediction has shape \(2, 3\) and truth \(2, 4\)"):
        relative_l2(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"zero everywhere in samples \[1\]"):
        relative_max(np.ones((2, 3)), np.array([[1.0, 0, 0], [0, 0, 0]]))
    with pytest.raises(ValueError, match="3 points or more"):
        relative_h1(np.ones((1, 2)), np.ones((1, 2)))


def test_a_summary_of_what_is_good_where_large_has_the_low_end_too() -> None:
    values = np.arange(21.0)
    assert summary(values, large_is_good=True) == summary(values) | {"p05": 1.0, "min": 0.0}
