from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.network import Network

if TYPE_CHECKING:
    import torch


class DeepONet(Network):
    """DeepONet, for one grid in one, two or three dimensions: Σₖ bₖ(inputs) tₖ(coordinates).

    The branch b sees all values of the inputs on the training grid, each once (a number per sample is one), the trunk t
    the coordinates of a cell, from −1 to 1 between the walls; both are fully connected. Fields come in on the grid on
    which answers go out, so it works on no other.

    Source: Lu et al., "Learning nonlinear operators via DeepONet based on the universal approximation theorem of
    operators", Nature Machine Intelligence 2021; unstacked, with bias.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Lu et al.",
            "Learning nonlinear operators via DeepONet based on the universal approximation theorem of operators",
            2021,
            "Nature Machine Intelligence 3",
            "",
            "surrogates.txt",
        ),
    )

    kind: Literal["deeponet"] = "deeponet"
    width: int = Field(default=128, ge=1, le=65536, json_schema_extra=in_units("features"))
    """Values in a hidden layer of branch and trunk."""
    layers: int = Field(default=3, ge=1, le=64, json_schema_extra=in_units("layers"))
    """Hidden layers of each."""
    basis: int = Field(default=64, ge=1, le=65536)
    """Functions of the coordinates for every output."""

    any_grid: ClassVar[bool] = False

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Refuse: the size of the branch depends on the grid, so only `build_on` can build it."""
        raise self.needs_grid(inputs, outputs, axes)

    def build_on(self, inputs: int, outputs: int, grid: Grid) -> torch.nn.Module:
        """Return an untrained network; see `Network.build_on`."""
        from ritz.compute.surrogates.networks import deeponet

        self.check(grid)
        grid.check_inputs(inputs)
        return deeponet.DeepONet(outputs, grid, self.width, self.layers, self.basis)

    def check(self, grid: Grid) -> None:
        """Refuse a mesh, of whose nodes no coordinates are known here; see `Surrogate.check`."""
        self.refuse_mesh(grid)
