from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import Fault, Source, in_units
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.network import Network

if TYPE_CHECKING:
    import torch


class Transolver(Network):
    """Transformer with physics attention, for any grid in one, two or three dimensions and for one mesh.

    Each point belongs to ``slices`` slices by learnt shares; the slices attend to each other, and the points take
    from them by the same shares, so the cost grows with the number of points alone. A point of a grid is told by its
    coordinates, and its features are projected from 3 points along every axis. A node of a mesh is told by features
    that are learnt for it, so there it works on the mesh of its training alone.

    Source: Wu et al., "Transolver: a fast transformer solver for PDEs on general geometries", ICML 2024.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Wu et al.",
            "Transolver: a fast transformer solver for PDEs on general geometries",
            2024,
            "ICML",
            "",
            "surrogates.txt",
        ),
    )

    kind: Literal["transolver"] = "transolver"
    width: int = Field(default=32, ge=1, le=4096, json_schema_extra=in_units("features"))
    """Features of a point, a multiple of the heads."""
    layers: int = Field(default=3, ge=1, le=64, json_schema_extra=in_units("layers"))
    """Blocks of attention and perceptron."""
    heads: int = Field(default=4, ge=1, le=256)
    """Attention heads."""
    slices: int = Field(default=16, ge=2, le=1024)
    """Slices in every head."""

    def faults(self) -> Iterator[Fault]:
        """Yield a width that the heads cannot share; see `Kind.faults`."""
        if self.width % self.heads:
            below = self.width // self.heads * self.heads
            near = f"{below} or {below + self.heads}" if below else str(self.heads)
            yield Fault(
                ("width", "heads"), f"width is {self.width}, expected a multiple of heads, {self.heads}: {near}"
            )

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Return an untrained network for grids; see `Network.build`."""
        return self._build(inputs, outputs, axes, None)

    def build_on(self, inputs: int, outputs: int, grid: Grid) -> torch.nn.Module:
        """Return an untrained network for grids or for one mesh; see `Network.build_on`."""
        return self._build(inputs, outputs, len(grid.shape), grid if grid.mesh else None)

    def _build(self, inputs: int, outputs: int, axes: int, mesh: Grid | None) -> torch.nn.Module:
        from ritz.compute.surrogates.networks import transolver

        return transolver.Transolver(inputs, outputs, axes, self.width, self.layers, self.heads, self.slices, mesh)
