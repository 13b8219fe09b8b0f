from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.network import Network

if TYPE_CHECKING:
    import torch


class UNet(Network):
    """Convolutional U-Net, for any grid in one, two or three dimensions.

    Residual blocks of two 3-point convolutions with GELU on the grid and on ``depth`` coarser ones, each of half the
    points and twice the channels, and back up beside what came down. Beyond the walls all is zero. A grid whose points
    ``2**depth`` does not divide is widened by its last values, and the answer cut back. It works on any grid, but
    what it sees is counted in points: on a finer one than that of its training it sees less of the box.

    Source: Ronneberger, Fischer, Brox, "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "O. Ronneberger, P. Fischer, T. Brox",
            "U-Net: convolutional networks for biomedical image segmentation",
            2015,
            "MICCAI",
            "",
            "surrogates.txt",
        ),
    )

    kind: Literal["unet"] = "unet"
    width: int = Field(default=16, ge=1, le=1024, json_schema_extra=in_units("channels"))
    """Channels on the finest grid."""
    depth: int = Field(default=4, ge=1, le=8)
    """Coarser grids."""
    coordinates: bool = True
    """Whether the network also sees where a point lies: one channel an axis, from −1 to 1 between the walls."""

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Return an untrained network; see `Network.build`."""
        from ritz.compute.surrogates.networks import unet

        return unet.UNet(inputs, outputs, axes, self.width, self.depth, self.coordinates)

    def check(self, grid: Grid) -> None:
        """Refuse a mesh, whose nodes have no neighbours to the left and right; see `Surrogate.check`."""
        self.refuse_mesh(grid)
