from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from ritz.compute.kind import Source as Publication
from ritz.storage.importing.source import Source
from ritz.tasks.importing.layouts.layout import Layout
from ritz.tasks.importing.variables import Dimension


class PDEBenchDarcy(Layout):
    """HDF5 files of PDEBench's Darcy flow: ``nu`` (sample, x, y), ``tensor`` (sample, 1, x, y), their coordinates.

    The equation is −∇·(ν ∇u) = β with u = 0 on the boundary of the unit square, β in the attribute ``beta``. Call the
    variables ``a`` and ``u``, and divide u by ``beta``, to have them as the problem ``darcy`` of Ritz has them. Of the
    coordinates, ``x-coordinate`` and ``y-coordinate``, which are centres of cells, files may have the first alone.
    """

    sources: ClassVar[tuple[Publication, ...]] = (
        Publication(
            "M. Takamoto et al.",
            "PDEBench: an extensive benchmark for scientific machine learning",
            2022,
            "NeurIPS 2022 Datasets and Benchmarks; data: doi:10.18419/darus-2986",
        ),
    )

    kind: Literal["pdebench_darcy"] = "pdebench_darcy"

    def source(self, name: str, file: Source) -> str:
        """Return ``nu`` for ``a`` and ``tensor`` for ``u``, else the name itself; see `Layout.source`."""
        del file
        return {"a": "nu", "u": "tensor"}.get(name, name)

    def dims(self, source: str, file: Source) -> tuple[str | int, ...] | None:
        """Return the order of the axes; see `Layout.dims`."""
        return {"nu": ("sample", "x", "y"), "tensor": ("sample", 1, "x", "y")}.get(source, file.dims(source))

    def coordinates(self, dims: Mapping[str, Dimension], name: str, file: Source) -> Dimension:
        """Return the array of the coordinates, along y that along x if it is the only one; see `Layout.coordinates`."""
        said = dims.get(name, Dimension())
        if said.source or said.values or said.first is not None:
            return said
        there = [one for one in (f"{name}-coordinate", "x-coordinate") if one in file.names()]
        return said.model_copy(update={"source": there[0]}) if there and name in ("x", "y") else said
