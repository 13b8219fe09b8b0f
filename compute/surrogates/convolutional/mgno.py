from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.network import Network

if TYPE_CHECKING:
    import torch


class MgNO(Network):
    """Neural operator whose linear maps are multigrid cycles, for any grid in one, two or three dimensions.

    ``layers`` layers u ↦ GELU(W u + B u + b), a pointwise map at the end. W is a cycle through ``levels`` grids, each
    of half the points, with learnt operators, smoothers, restrictions and prolongations; B is pointwise. Values beyond
    the walls are zero. It works on any grid, but a cycle's coarsest grid has more points the finer the grid is.

    Source: He, Liu, Xu, "MgNO: efficient parameterization of linear operators via multigrid", ICLR 2024.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "J. He, X. Liu, J. Xu",
            "MgNO: efficient parameterization of linear operators via multigrid",
            2024,
            "ICLR",
            "",
            "surrogates.txt",
        ),
    )

    kind: Literal["mgno"] = "mgno"
    width: int = Field(default=16, ge=1, le=1024, json_schema_extra=in_units("channels"))
    """Channels of the hidden fields."""
    layers: int = Field(default=4, ge=1, le=64, json_schema_extra=in_units("layers"))
    """Cycles."""
    levels: int = Field(default=5, ge=1, le=12)
    """Grids of a cycle, the finest among them."""
    smoothings: int = Field(default=1, ge=1, le=10)
    """Smoothing steps on every grid; the coarsest has one more."""

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Return an untrained network; see `Network.build`."""
        from ritz.compute.surrogates.networks import mgno

        return mgno.MgNO(inputs, outputs, axes, self.width, self.layers, self.levels, self.smoothings)

    def check(self, grid: Grid) -> None:
        """Refuse a mesh, which has no coarser grids of half the points; see `Surrogate.check`."""
        self.refuse_mesh(grid)
