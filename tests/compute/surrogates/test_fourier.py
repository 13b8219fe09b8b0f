from __future__ import annotations

import pytest
import torch

from ritz.compute.surrogates.networks.fourier import TruncatedConv


@pytest.mark.parametrize("space", [(15, 16), (16, 15), (15, 15)])
def test_odd_grids_give_what_even_ones_give(space: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = TruncatedConv(1, 2, (6, 8))

    def answer(rows: int, columns: int) -> torch.Tensor:
        y, x = 2 * torch.pi * torch.arange(rows) / rows, 2 * torch.pi * torch.arange(columns) / columns
        field = torch.sin(2 * y)[:, None] * torch.cos(x) + torch.cos(y)[:, None] * torch.sin(3 * x) + 0.5
        return layer(field[None, None])[0]

    twice = answer(2 * space[0], 2 * space[1])
    torch.testing.assert_close(answer(*space), twice[:, ::2, ::2], rtol=1e-4, atol=1e-5)


def test_even_grids_give_what_the_library_gives() -> None:
    from neuralop.layers.spectral_convolution import SpectralConv

    torch.manual_seed(0)
    ours, theirs = TruncatedConv(3, 5, (6, 8)), SpectralConv(3, 5, (6, 8))
    theirs.load_state_dict(ours.state_dict())
    for space in ((16, 12), (6, 8), (4, 4), (10, 7), (12, 3)):
        x = torch.randn(2, 3, *space)
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_an_answer_on_another_grid_is_that_of_the_finer_one() -> None:
    torch.manual_seed(0)
    layer = TruncatedConv(2, 3, (6, 6))

    def waves(rows: int, columns: int) -> torch.Tensor:
        y, x = 2 * torch.pi * torch.arange(rows) / rows, 2 * torch.pi * torch.arange(columns) / columns
        return torch.stack([torch.sin(2 * y)[:, None] * torch.cos(x), torch.cos(y)[:, None] + 0 * x])[None]

    fine = layer(waves(24, 20))
    torch.testing.assert_close(layer(waves(12, 10), output_shape=(24, 20)), fine, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer(waves(24, 20), output_shape=(12, 10)), fine[..., ::2, ::2], rtol=1e-4, atol=1e-5)


def test_what_goes_around_a_convolution_keeps_its_place() -> None:
    layer = TruncatedConv(1, 1, (2, 2), resolution_scaling_factor=[0.5, 0.5])
    ramp = ((torch.arange(8) + 0.5) / 8).expand(1, 1, 6, 8)
    torch.testing.assert_close(layer.transform(ramp), ((torch.arange(4) + 0.5) / 4).expand(1, 1, 3, 4))
