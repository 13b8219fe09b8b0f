from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from ritz.compute.surrogates.attention.transolver import Transolver
from ritz.compute.surrogates.convolutional.unet import UNet
from ritz.compute.surrogates.coordinate.deeponet import DeepONet
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.networks.fourier import TruncatedConv
from ritz.compute.surrogates.networks.mgno import Cycle
from ritz.compute.surrogates.networks.transolver import PhysicsAttention
from ritz.compute.surrogates.spectral.tfno import TFNO
from ritz.compute.surrogates.spectral.uno import UNO


@pytest.mark.parametrize("space", [(16, 12), (9, 7), (1, 5)])
def test_a_cycle_is_linear(space: tuple[int, int]) -> None:
    torch.manual_seed(0)
    cycle = Cycle(2, 5, 2, levels=3, smoothings=2)
    f, g = torch.randn(2, 1, 2, *space)
    assert cycle(f).shape == (1, 5, *space)
    torch.testing.assert_close(cycle(3 * f - g), 3 * cycle(f) - cycle(g), rtol=1e-4, atol=1e-5)


def test_a_cycle_of_exact_parts_solves() -> None:
    # With S = A = identity the first smoothing is exact, and nothing is left for the coarser grids.
    cycle = Cycle(1, 1, 1, levels=3, smoothings=1)
    kernels = [*cycle.operators.parameters(), *cycle.smoothers.parameters()]
    assert len(kernels) == 3 + 2 + 2
    for kernel in kernels:
        torch.nn.init.dirac_(kernel)
    f = torch.randn(2, 1, 13)
    torch.testing.assert_close(cycle(f), f)


def test_a_far_point_is_reached_through_the_coarse_grids() -> None:
    torch.manual_seed(0)
    x = torch.zeros(1, 1, 64, requires_grad=True)
    reach: dict[int, int] = {}
    for levels in (1, 5):
        x.grad = None
        Cycle(1, 4, 1, levels=levels, smoothings=1)(x)[0, :, 0].sum().backward()
        assert x.grad is not None
        reach[levels] = int(x.grad[0, 0].nonzero().max())
    assert reach[1] <= 3
    assert reach[5] >= 32


def test_slices_do_not_depend_on_the_order_of_the_points() -> None:
    torch.manual_seed(0)
    attention = PhysicsAttention(8, heads=2, slices=5, axes=1, kernel=1)
    x, order = torch.randn(2, 30, 8), torch.randperm(30)
    space = torch.Size((30,))
    torch.testing.assert_close(attention(x[:, order], space), attention(x, space)[:, order])
    # Every point twice: the same means.
    twice = attention(x.repeat_interleave(2, dim=1), torch.Size((60,)))
    torch.testing.assert_close(twice[:, ::2], attention(x, space), rtol=1e-4, atol=1e-5)


def test_width_and_heads_of_a_transolver_fit() -> None:
    with pytest.raises(ValidationError, match="width is 30, expected a multiple of heads, 4"):
        Transolver(width=30, heads=4)


def test_a_deeponet_is_a_sum_of_functions() -> None:
    torch.manual_seed(0)
    grid = Grid((6, 5), ((True, True),))
    built = DeepONet(width=8, layers=1, basis=3).build_on(1, 2, grid)
    bias = dict(built.named_parameters())["bias"]
    answers = built(torch.randn(20, 1, 6, 5))
    for output in range(2):
        matrix = (answers[:, output] - bias[output]).flatten(1)
        assert torch.linalg.matrix_rank(matrix, rtol=1e-5) == 3


def test_a_unet_widens_what_does_not_halve() -> None:
    torch.manual_seed(0)
    built = UNet(width=4, depth=2, coordinates=False).build(1, 1)
    x = torch.randn(1, 1, 10, 9)
    wide = torch.nn.functional.pad(x, (0, 3, 0, 2), mode="replicate")
    torch.testing.assert_close(built(x), built(wide)[..., :10, :9])


def test_a_tfno_keeps_about_its_share_of_the_weights() -> None:
    def count(rank: float) -> int:
        built = TFNO(modes=12, width=16, layers=1, rank=rank).build(1, 1)
        return sum(p.numel() for name, p in built.named_parameters() if "convs" in name)

    dense = 16 * 16 * 12 * 7
    assert count(0.1) == pytest.approx(0.1 * dense, rel=0.35)
    assert count(1.0) >= 0.9 * dense


def test_a_uno_bends_between_its_blocks(capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    built = UNO(modes=4, width=4, depth=1, coordinates=False).build(1, 1)
    assert capfd.readouterr().out == ""
    seen: list[torch.Tensor] = []
    blocks = [module for module in built.modules() if isinstance(module, TruncatedConv)]
    for block in blocks:
        block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    built(torch.randn(1, 1, 16, 16))
    # What GELU gives is never below −0.17; the first three blocks are on grids of 16, 16 and 8 points.
    assert [tuple(x.shape[2:]) for x in seen] == [(16, 16), (16, 16), (8, 8), (8, 8), (16, 16)]
    assert all(x.min() > -0.171 for x in seen)
