from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.network import Network

if TYPE_CHECKING:
    import torch


class Neighbourhood(Network):
    """The same small fully connected network at every point, of the values around it.

    ``layers`` hidden layers of ``width`` values with GELU see the inputs of all points up to ``reach`` away along every
    axis, and nothing of where the point lies: what is unresolved in a column of a climate model is told so from the
    column, or from its neighbours too. It works on any grid, but its reach is counted in points.

    Source: Gentine et al., "Could machine learning break the convection parameterization deadlock?", Geophys. Res.
    Lett. 45 (2018), for a network of a column.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "P. Gentine et al.",
            "Could machine learning break the convection parameterization deadlock?",
            2018,
            "Geophys. Res. Lett. 45",
            "a network of the values of a column tells what is unresolved in it",
            "closure.txt",
        ),
    )

    kind: Literal["neighbourhood"] = "neighbourhood"
    reach: int = Field(default=1, ge=0, le=64, json_schema_extra=in_units("points"))
    """How far it sees along every axis; 0 for the values of the point alone."""
    width: int = Field(default=32, ge=1, le=4096, json_schema_extra=in_units("channels"))
    """Values in each hidden layer."""
    layers: int = Field(default=2, ge=1, le=32)
    """Hidden layers."""
    ends: Literal["periodic", "replicate"] = "periodic"
    """What is beyond the walls: the field from the other side, or its last values."""

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Return an untrained network; see `Network.build`."""
        from ritz.compute.surrogates.networks import neighbourhood

        return neighbourhood.Neighbourhood(
            inputs, outputs, axes, self.reach, hidden=(self.width,) * self.layers, periodic=self.ends == "periodic"
        )

    def check(self, grid: Grid) -> None:
        """Refuse a mesh, and a reach around a whole periodic box; see `Surrogate.check`."""
        self.refuse_mesh(grid)
        if self.ends == "periodic" and self.reach > min(grid.shape):
            raise ValueError(
                f"reach is {self.reach} on a grid of {grid.shape} points, expected at most {min(grid.shape)}: beyond "
                "that are the same points again"
            )
