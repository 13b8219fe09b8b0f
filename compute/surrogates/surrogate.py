from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Grid:
    """Where the fields of a training lie.

    Attributes
    ----------
    shape
        Points along each axis.
    varies
        For every input channel whether it varies along each axis; along the others it repeats one value.
    mesh
        Whether the points are the nodes of an unstructured mesh. They are on one axis then, and its order says
        nothing of who is whose neighbour.
    """

    shape: tuple[int, ...]
    varies: tuple[tuple[bool, ...], ...]
    mesh: bool = False

    @classmethod
    def of(cls, dimensions: Dimensions) -> Grid:
        """Return the grid of a problem's variables, with the inputs in their order."""
        varies = [(dimensions.along(name),) * dimensions.channels(name) for name in dimensions.inputs]
        return cls(dimensions.shape, tuple(chain.from_iterable(varies)), dimensions.mesh)

    def check_inputs(self, inputs: int) -> None:
        """Raise a ValueError unless ``varies`` is for so many input channels."""
        if len(self.varies) != inputs:
            raise ValueError(f"grid.varies is for {len(self.varies)} input channels, expected {inputs}")


class Surrogate(Kind, ABC):
    """A family of networks that map input fields to output fields.

    A subclass has a field ``kind: Literal[...]`` and the method `build`. It imports torch inside its methods, so that
    a process which only reads a configuration does not load it. One that must know the grid has `build_on` too.
    """

    kind: str

    any_grid: ClassVar[bool] = True
    """Whether a network works on any grid; if not, on that of its training alone."""

    @abstractmethod
    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Return an untrained network, its weights drawn from torch's global generator.

        Parameters
        ----------
        inputs, outputs
            Number of channels. A variable is one; with dimensions other than those of space, such as time, it is as
            many as it has values at a point.
        axes
            Number of space axes of a field; 1 for the nodes of a mesh.

        Returns
        -------
        torch.nn.Module
            Maps float32 ``(batch, inputs, *space)`` to ``(batch, outputs, *space)``. It works on any grid
            unless the class says otherwise, and every parameter has a part in the output.
        """

    def build_on(self, inputs: int, outputs: int, grid: Grid) -> torch.nn.Module:
        """Return an untrained network for the grid of a training: what `build` returns, unless the class needs it.

        Raises
        ------
        ValueError
            As `check` does.
        """
        self.check(grid)
        return self.build(inputs, outputs, len(grid.shape))

    def check(self, grid: Grid) -> None:
        """Raise a ValueError where this surrogate cannot work; most work anywhere."""

    def refuse_mesh(self, grid: Grid) -> None:
        """Raise a ValueError on a mesh."""
        if grid.mesh:
            raise ValueError(
                f"the surrogate {self.kind!r} needs a regular grid, and this problem lies on the nodes of a mesh: take "
                "'fully_connected' or 'transolver'"
            )

    def needs_grid(self, inputs: int, outputs: int, axes: int) -> ValueError:
        """Return what `build` raises where the size of the network depends on the grid."""
        return ValueError(
            f"{inputs} and {outputs} channels on {axes} axes do not tell how large a network of the kind {self.kind!r} "
            "is: build it with build_on, which is told the grid"
        )
