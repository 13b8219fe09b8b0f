from __future__ import annotations

from typing import Any

import torch

PAD = "replicate"


class Patched(torch.nn.Module):
    """Runs a network on parts of the box, each with its surroundings at coarser and coarser resolution.

    The box is cut into ``2**levels`` patches along every axis, each widened by an overlap. Beside its own channels a
    patch gets, for each level, those of a window with as many points around the same centre, on a grid ``2**level``
    times coarser: at the last level a window is as wide as the box. The answers of all patches, less the overlap, are
    put together again.

    As MultigridPatching2D of neuraloperator, which is for two dimensions, for grids that all patches divide and for
    boxes without walls: it goes on at the opposite wall, where here the outermost values are repeated. A coarser grid
    has the means of blocks here, every other point there.

    Source: Kossaifi et al., "Multi-grid tensorized Fourier neural operator for high-resolution PDEs", TMLR 2024.

    Parameters
    ----------
    network
        Maps ``(batch, (levels + 1) · inputs, *space)`` to ``(batch, outputs, *space)`` on any grid.
    levels
        Coarser levels, at least 1.
    overlap
        By what share of its shortest side a patch is widened everywhere.
    """

    def __init__(self, network: torch.nn.Module, levels: int, overlap: float) -> None:
        super().__init__()
        self.network, self.levels, self.overlap = network, levels, overlap

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, outputs, *space)`` for ``x`` ``(batch, inputs, *space)`` on any grid."""
        space = x.shape[2:]
        # Windows of all levels begin at a point if a patch has a multiple of 2^(levels + 1) of them.
        multiple = 2 ** (2 * self.levels + 1)
        x = torch.nn.functional.pad(x, _sides([(0, -n % multiple) for n in space]), mode=PAD)
        width = round(self.overlap * min(x.shape[2:]) / 2**self.levels)
        answers = self.network(cut(x, self.levels, width))
        whole = stitch(answers, self.levels, width)
        inside: tuple[Any, ...] = (..., *(slice(n) for n in space))
        return whole[inside]


def cut(x: torch.Tensor, levels: int, overlap: int) -> torch.Tensor:
    """Return the patches of fields with their surroundings.

    Parameters
    ----------
    x
        ``(batch, channel, *space)``, a multiple of ``2**(2 * levels + 1)`` points along every axis.
    levels
        Coarser levels.
    overlap
        Points by which a patch, and the windows of all levels, are widened at every side.

    Returns
    -------
    torch.Tensor
        ``(batch · patches, (levels + 1) · channel, *(n / 2**levels + 2 · overlap for n in space))``, patches in
        row-major order, the finest level first.
    """
    axes = x.ndim - 2
    sizes = [n // 2**levels for n in x.shape[2:]]
    pool = (torch.nn.functional.avg_pool1d, torch.nn.functional.avg_pool2d, torch.nn.functional.avg_pool3d)[axes - 1]
    found = []
    for level in range(levels + 1):
        beyond = [size // 2 + overlap - size // 2 ** (level + 1) for size in sizes]
        windows = pool(x, 2**level) if level else x
        windows = torch.nn.functional.pad(windows, _sides([(n, n) for n in beyond]), mode=PAD)
        for axis, size in enumerate(sizes):
            windows = windows.unfold(2 + axis, size + 2 * overlap, size // 2**level)
        order = (0, *range(2, 2 + axes), 1, *range(2 + axes, 2 + 2 * axes))
        windows = windows.permute(order)
        found.append(windows.reshape(-1, *windows.shape[1 + axes :]))
    return torch.cat(found, dim=1)


def stitch(patches: torch.Tensor, levels: int, overlap: int) -> torch.Tensor:
    """Put patches ``(batch · patches, channel, *space)`` in the order of `cut` together, without their overlap."""
    axes, count = patches.ndim - 2, 2**levels
    own: tuple[Any, ...] = (..., *(slice(overlap, n - overlap) for n in patches.shape[2:]))
    inner = patches[own]
    channels, sizes = inner.shape[1], inner.shape[2:]
    inner = inner.reshape(-1, *(count,) * axes, channels, *sizes)
    pairs = [part for axis in range(axes) for part in (1 + axis, 2 + axes + axis)]
    return inner.permute(0, 1 + axes, *pairs).reshape(-1, channels, *(count * n for n in sizes))


def _sides(pads: list[tuple[int, int]]) -> list[int]:
    """Return what torch's pad takes: the last axis first."""
    return [n for pair in reversed(pads) for n in pair]
