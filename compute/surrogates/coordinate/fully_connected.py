from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import in_units
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.network import Network

if TYPE_CHECKING:
    import torch


class FullyConnected(Network):
    """Fully connected network from all input values to all output values, for any one grid or mesh.

    The inputs are flattened, each value once: a number per sample is one, values along a wall are as many as they are.
    ``layers`` hidden layers of ``width`` with GELU follow, and a linear one to all outputs at all points. It knows
    nothing of space, so its size grows with the grid and it works on no other.
    """

    kind: Literal["fully_connected"] = "fully_connected"
    width: int = Field(default=256, ge=1, le=65536, json_schema_extra=in_units("features"))
    """Values in a hidden layer."""
    layers: int = Field(default=3, ge=1, le=64, json_schema_extra=in_units("layers"))
    """Hidden layers."""

    any_grid: ClassVar[bool] = False

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Refuse: the size of the network depends on the grid, so only `build_on` can build it."""
        raise self.needs_grid(inputs, outputs, axes)

    def build_on(self, inputs: int, outputs: int, grid: Grid) -> torch.nn.Module:
        """Return an untrained network; see `Network.build_on`."""
        from ritz.compute.surrogates.networks.flat import Flat

        grid.check_inputs(inputs)
        return Flat(outputs, grid, (self.width,) * self.layers)
