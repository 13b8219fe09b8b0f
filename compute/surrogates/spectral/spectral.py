from __future__ import annotations

import os
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ritz.compute.kind import in_units
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.network import Network

if TYPE_CHECKING:
    import torch


class Spectral(Network):
    """What the Fourier neural operators of one resolution share: fields, coordinates, multigrid patching.

    With ``levels`` above 0 the network sees the box in ``2**levels`` patches along every axis, each beside what
    surrounds it at ``levels`` coarser resolutions (`ritz.compute.surrogates.networks.patching`), and waves are those of
    a patch. Source: Kossaifi et al., "Multi-grid tensorized Fourier neural operator for high-resolution PDEs", TMLR
    2024.
    """

    modes: int = Field(default=16, ge=2, le=512, multiple_of=2, json_schema_extra=in_units("modes"))
    """Fourier modes kept along every axis, negative and positive frequencies together."""
    width: int = Field(default=32, ge=1, le=1024, json_schema_extra=in_units("channels"))
    """Channels of the hidden fields."""
    layers: int = Field(default=4, ge=1, le=64, json_schema_extra=in_units("layers"))
    """Fourier blocks."""
    coordinates: bool = True
    """Whether the network also sees where a point lies: one channel an axis, from −1 to 1 between the walls."""
    levels: int = Field(default=0, ge=0, le=4)
    """Coarser resolutions of multigrid patching; 0 for none."""
    overlap: float = Field(default=0.125, ge=0, le=1)
    """Share of its shortest side by which a patch is widened everywhere."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Return what a family asks of the library's FNO beyond what they all do; may import torch."""

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Return an untrained network; see `Network.build`."""
        # neuralop imports wandb, which would look for an account.
        os.environ.setdefault("WANDB_MODE", "disabled")
        import torch
        from neuralop import models

        from ritz.compute.surrogates.networks.coordinates import Coordinates
        from ritz.compute.surrogates.networks.patching import Patched

        parts: list[torch.nn.Module] = [Coordinates()] if self.coordinates else []
        network = models.FNO(
            n_modes=(self.modes,) * axes,
            in_channels=(inputs + axes * self.coordinates) * (1 + self.levels),
            out_channels=outputs,
            hidden_channels=self.width,
            n_layers=self.layers,
            lifting_channel_ratio=1,
            projection_channel_ratio=1,
            positional_embedding=None,
            **self.options(),
        )
        parts.append(Patched(network, self.levels, self.overlap) if self.levels else network)
        return torch.nn.Sequential(*parts) if self.coordinates else parts[0]

    def check(self, grid: Grid) -> None:
        """Refuse a mesh, whose nodes have no order that waves could run along; see `Surrogate.check`."""
        self.refuse_mesh(grid)
