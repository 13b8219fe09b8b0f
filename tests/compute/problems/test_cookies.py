from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.problems.cookies import CENTRES, RADIUS, Cookies, shares
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.multigrid.multigrid import Multigrid

PUBLISHED = {
    (-0.595,) * 8: 0.062255257529767,
    (-0.2, -0.2, -0.3, -0.4, -0.5, -0.6, -0.7, -0.8): 0.05725576523730292,
}
"""∫ u over the square, by bilinear elements on 400² cells: the level 0 of the published table, and a published test."""


def integrals(problem: Cookies, changes: list[tuple[float, ...]]) -> np.ndarray:
    """Return ∫ u over the heated square, whose rim cuts no cell."""
    fields, ledger = simulate(problem, {"y_n": np.array(changes, np.float32)}, Multigrid(), 1e-10)
    assert set(ledger["status"]) == {"ok"}
    tenths = problem.shape[0] // 10
    inside = slice(4 * tenths, 6 * tenths)
    found: np.ndarray = 0.04 * fields["u"][:, inside, inside].mean(axis=(1, 2))
    return found


def test_the_published_values_come_with_the_grid() -> None:
    published = np.array([*PUBLISHED.values()])
    coarse, fine = (integrals(Cookies(shape=(n, n)), [*PUBLISHED]) / published - 1 for n in (40, 160))
    assert np.all(np.abs(coarse) < 8e-3)
    assert np.all(np.abs(fine) < 6e-4)


@pytest.mark.parametrize("shape", [(40, 40), (13, 29), (4, 5)])
def test_the_shares_of_the_cells_add_up_to_the_discs(shape: tuple[int, int]) -> None:
    found = shares(shape)
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_allclose(found.mean(axis=(1, 2)), np.pi * RADIUS**2, rtol=1e-12)


def test_a_share_is_the_area_of_the_disc_in_the_cell() -> None:
    ny, nx, per = 9, 14, 200
    y, x = ((np.arange(per * n) + 0.5) / (per * n) for n in (ny, nx))
    for share, (centre_x, centre_y) in zip(shares((ny, nx)), CENTRES, strict=True):
        inside = (x - centre_x) ** 2 + (y[:, None] - centre_y) ** 2 < RADIUS**2
        np.testing.assert_allclose(share, inside.reshape(ny, per, nx, per).mean(axis=(1, 3)), atol=1e-3)


def test_each_number_changes_the_conductivity_of_its_own_disc() -> None:
    problem = Cookies(shape=(100, 80))
    change = -np.arange(1, 9) / 10
    a = problem.conductivities({"y_n": change[None]})[0]
    for number, (x, y) in zip(change, CENTRES, strict=True):
        assert a[int(y * 100), int(x * 80)] == pytest.approx(1 + number)
    assert a[0, 0] == a[50, 40] == 1


def test_coordinates_are_the_numbers_between_their_bounds() -> None:
    problem, given = Cookies(), np.linspace(0.1, 0.8, 16).reshape(2, 8)
    found = problem.draw_at(0, np.arange(2), given)["y_n"]
    np.testing.assert_array_equal(found, (-0.99 + 0.79 * given).astype(np.float32))
    drawn = Cookies(low=0, high=2).draw(0, np.arange(200))["y_n"]
    assert 0 <= drawn.min() < 0.01
    assert 1.99 < drawn.max() <= 2


def test_exchanging_cookies_reflects_the_field() -> None:
    problem, change = Cookies(), np.random.default_rng(0).uniform(-0.9, -0.3, (1, 8)).astype(np.float32)
    transposed = change[:, [0, 3, 5, 1, 6, 2, 4, 7]]
    one, other = (simulate(problem, {"y_n": y}, Multigrid(), 1e-10)[0]["u"] for y in (change, transposed))
    np.testing.assert_allclose(other[0], one[0].T, rtol=1e-8)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"low": -0.2, "high": -0.2}, "low is -0.2, expected less than high, which is -0.2"),
        ({"low": -1.0}, "greater than -1"),
        ({"shape": (40, 40, 40)}, "shape"),
    ],
)
def test_what_is_no_law_or_grid_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Cookies.model_validate(given)
