from __future__ import annotations

import pytest
import torch

from ritz.compute.surrogates.networks.local import LocalConv, LocalIntegral


def _bump(points: int) -> torch.Tensor:
    x = (torch.arange(points, dtype=torch.float32) + 0.5) / points
    return torch.exp(-60 * (x[:, None] - 0.4) ** 2 - 50 * (x - 0.55) ** 2)[None, None]


def _means(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(x, 2)


def test_a_local_integral_does_not_depend_on_the_grid() -> None:
    torch.manual_seed(0)
    layer = LocalIntegral(1, 4, 2, reach=0.1)
    finest = layer(_bump(256))
    coarse, fine = layer(_bump(32)), layer(_bump(64))
    reference = finest
    errors = []
    for answer in (fine, coarse):
        while reference.shape[2] > answer.shape[2]:
            reference = _means(reference)
        errors.append(((answer - reference).norm() / reference.norm()).item())
    assert max(errors) < 0.005


@pytest.mark.parametrize("points", [3, 7, 16, 33, 100])
def test_the_shares_of_a_kernel_sum_to_one_on_any_grid(points: int) -> None:
    shares = LocalIntegral(1, 1, 1, reach=1.5 / 16)._shares(points)
    assert len(shares) % 2 == 1
    torch.testing.assert_close(shares.sum(dim=0), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(shares, shares.flip(0, 1))


def test_a_differential_kernel_becomes_a_derivative() -> None:
    torch.manual_seed(0)
    layer = LocalConv(1, 1, (2, 2), reference=16)

    def difference(points: int) -> torch.Tensor:
        return layer.difference(_bump(points), 16 / points)[..., points // 4 : 3 * points // 4]

    finest = difference(512)
    errors = []
    for points in (64, 128):
        reference = torch.nn.functional.avg_pool2d(finest, 512 // points)
        errors.append(((difference(points) - reference).norm() / reference.norm()).item())
    # One-sided differences are of first order; without the division by the width they would halve instead.
    assert errors[1] < 0.6 * errors[0] < 0.2
    constant = layer.difference(torch.ones(1, 1, 20, 20), 0.8)
    torch.testing.assert_close(constant, torch.zeros_like(constant), rtol=0, atol=1e-6)
