from __future__ import annotations

import contextlib
import io
import os
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.network import Network

if TYPE_CHECKING:
    import torch


class UNO(Network):
    """U-shaped neural operator of the neuraloperator library, for any grid in one, two or three dimensions.

    A Fourier block on the grid, one to each of ``depth`` grids of half the points, one there, one to each finer grid
    back, and one on the grid again. On the way back a block also sees what the block of that grid gave on the way
    down. Channels double with the first coarser grid, modes halve with each.

    Source: Rahman, Ross, Azizzadenesheli, "U-NO: U-shaped neural operators", TMLR 2023.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "M. A. Rahman, Z. E. Ross, K. Azizzadenesheli",
            "U-NO: U-shaped neural operators",
            2023,
            "TMLR",
            "",
            "surrogates.txt",
        ),
    )

    kind: Literal["uno"] = "uno"
    modes: int = Field(default=16, ge=2, le=512, multiple_of=2, json_schema_extra=in_units("modes"))
    """Fourier modes kept along every axis on the finest grid, negative and positive frequencies together."""
    width: int = Field(default=24, ge=1, le=1024, json_schema_extra=in_units("channels"))
    """Channels of the hidden fields on the finest grid."""
    depth: int = Field(default=2, ge=1, le=6)
    """Coarser grids."""
    coordinates: bool = True
    """Whether the network also sees where a point lies: one channel an axis, from −1 to 1 between the walls."""

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Return an untrained network; see `Network.build`."""
        # neuralop imports wandb, which would look for an account.
        os.environ.setdefault("WANDB_MODE", "disabled")
        import torch
        from neuralop import models
        from neuralop.layers.fno_block import FNOBlocks

        from ritz.compute.surrogates.networks.coordinates import Coordinates
        from ritz.compute.surrogates.networks.fourier import TruncatedConv

        scalings = [1.0, *(0.5,) * self.depth, 1.0, *(2.0,) * self.depth, 1.0]
        # Which grid a block answers on, and the finer of the two that it joins.
        down = range(1, self.depth + 1)
        answers = [0, *down, self.depth, *(level - 1 for level in reversed(down)), 0]
        joined = [0, *(level - 1 for level in down), self.depth, *(level - 1 for level in reversed(down)), 0]
        # The library prints as it builds.
        with contextlib.redirect_stdout(io.StringIO()):
            network = models.UNO(
                in_channels=inputs + axes * self.coordinates,
                out_channels=outputs,
                hidden_channels=self.width,
                lifting_channels=self.width,
                projection_channels=self.width,
                positional_embedding=None,
                n_layers=len(scalings),
                uno_out_channels=[self.width * (2 if level else 1) for level in answers],
                uno_n_modes=[(max(2, self.modes // 2**level // 2 * 2),) * axes for level in joined],
                uno_scalings=[[factor] * axes for factor in scalings],
                # The library's own choice needs as many channels behind a block as before it.
                channel_mlp_skip="linear",
                # Otherwise there is nothing but linear maps from block to block: a block of its own is taken for the
                # last one, behind which no activation comes.
                preactivation=True,
                operator_block=partial(FNOBlocks, conv_module=TruncatedConv),
            )
        return torch.nn.Sequential(Coordinates(), network) if self.coordinates else network

    def check(self, grid: Grid) -> None:
        """Refuse a mesh, whose nodes have no order that waves could run along; see `Surrogate.check`."""
        self.refuse_mesh(grid)
