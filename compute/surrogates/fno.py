from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from compute.surrogates.surrogate import Grid, Surrogate

if TYPE_CHECKING:
    import torch


class FNO(Surrogate):
    """Fourier neural operator of the neuraloperator library, for any grid in one, two or three dimensions.

    Pointwise lifting to ``width`` channels, ``layers`` blocks that multiply the lowest Fourier modes by learnt
    matrices beside a pointwise path, pointwise projection. On a grid with fewer modes than ``modes`` those it
    has are used.

    Source: Li et al., "Fourier neural operator for parametric partial differential equations", ICLR 2021.
    """

    kind: Literal["fno"] = "fno"
    modes: int = Field(default=16, ge=2, le=512, multiple_of=2)
    """Fourier modes kept along every axis, negative and positive frequencies together."""
    width: int = Field(default=32, ge=1, le=1024)
    """Channels of the hidden fields."""
    layers: int = Field(default=4, ge=1, le=64)
    """Fourier blocks."""
    coordinates: bool = True
    """Whether the network also sees where a point lies: one channel an axis, from −1 to 1 between the walls."""

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Return an untrained network; see `Surrogate.build`."""
        # neuralop imports wandb, which would look for an account.
        os.environ.setdefault("WANDB_MODE", "disabled")
        import torch
        from neuralop import models

        from compute.surrogates.layers import Coordinates, TruncatedConv

        network = models.FNO(
            n_modes=(self.modes,) * axes,
            in_channels=inputs + axes * self.coordinates,
            out_channels=outputs,
            hidden_channels=self.width,
            n_layers=self.layers,
            lifting_channel_ratio=1,
            projection_channel_ratio=1,
            positional_embedding=None,
            conv_module=TruncatedConv,
        )
        return torch.nn.Sequential(Coordinates(), network) if self.coordinates else network

    def check(self, grid: Grid) -> None:
        """Refuse a mesh, whose nodes have no order that waves could run along; see `Surrogate.check`."""
        if grid.mesh:
            raise ValueError(
                "the surrogate 'fno' needs a regular grid, and this problem lies on the nodes of a mesh: take "
                "'fully_connected'"
            )
