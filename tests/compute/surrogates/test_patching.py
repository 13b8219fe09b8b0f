from __future__ import annotations

import contextlib
import io

import pytest
import torch

from ritz.compute.surrogates.networks.patching import Patched, cut, stitch


@pytest.mark.parametrize(("space", "levels"), [((16,), 1), ((64,), 2), ((16, 24), 1), ((32, 64), 2), ((8, 16, 8), 1)])
@pytest.mark.parametrize("overlap", [0, 3])
def test_stitching_undoes_cutting_to_the_bit(space: tuple[int, ...], levels: int, overlap: int) -> None:
    x = torch.randn(2, 3, *space, generator=torch.Generator().manual_seed(0))
    patches = cut(x, levels, overlap)
    sizes = tuple(n // 2**levels + 2 * overlap for n in space)
    assert patches.shape == (2 * 2 ** (levels * len(space)), 3 * (levels + 1), *sizes)
    torch.testing.assert_close(stitch(patches[:, :3], levels, overlap), x, rtol=0, atol=0)


def test_every_level_looks_at_the_same_centre() -> None:
    # Cell centres of a ramp: the mean of a window is where its centre lies, and its width doubles with the level.
    ramp = (torch.arange(32) + 0.5).expand(1, 1, 32, 32)
    patches = cut(ramp, 2, 0)
    assert patches.shape == (16, 3, 8, 8)
    inside = patches.reshape(4, 4, 3, 8, 8)[:, 1:3]
    centres = torch.tensor([12.0, 20.0]).expand(4, 2)
    for level in range(2):
        torch.testing.assert_close(inside[:, :, level].mean(dim=(2, 3)), centres)
        torch.testing.assert_close(inside[:, :, level].diff(dim=3).mean(dim=(2, 3)), torch.full((4, 2), 2.0**level))
    # Beyond the walls the outermost means go on.
    last = patches.reshape(4, 4, 3, 8, 8)[0, 0, 2, 0]
    torch.testing.assert_close(last, torch.tensor([2.0, 2, 2, 2, 6, 10, 14, 18]))


def test_patches_are_those_of_the_library_away_from_the_walls() -> None:
    from neuralop.training.patching import MultigridPatching2D

    x = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    # The library's coarser grid has every other point, ours the means of two: alike where both are the same.
    x = x.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    with contextlib.redirect_stdout(io.StringIO()):
        library = MultigridPatching2D(torch.nn.Identity(), levels=2, padding_fraction=2 / 128)
    theirs, _ = library.patch(x, None)
    ours = cut(x, 2, 2)
    assert theirs.shape == ours.shape
    inner = torch.zeros(2, 4, 4, 3, 36, 36, dtype=torch.bool)
    inner[:, 1:3, 1:3, :2] = True
    torch.testing.assert_close(ours[inner.reshape(ours.shape)], theirs[inner.reshape(ours.shape)])
    torch.testing.assert_close(stitch(ours[:, :1], 2, 2), library.unpatch(theirs[:, :1], None)[0], rtol=0, atol=0)


@pytest.mark.parametrize("space", [(16, 24), (9, 7), (3, 4), (5,), (5, 4, 9)])
def test_a_network_that_changes_nothing_gives_the_fields_back(space: tuple[int, ...]) -> None:
    class First(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :2]

    x = torch.randn(2, 2, *space)
    torch.testing.assert_close(Patched(First(), 1, 0.25)(x), x, rtol=0, atol=0)
