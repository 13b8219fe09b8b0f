from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from ritz.compute.kind import Source as Publication
from ritz.storage.errors import StorageError
from ritz.storage.importing.source import Source
from ritz.tasks.importing.layouts.layout import Layout
from ritz.tasks.importing.variables import Dimension

GROUPS = ("t0_fields", "t1_fields", "t2_fields", "scalars")
"""Groups that hold fields: scalars, vectors and tensors over space, and numbers."""


class TheWell(Layout):
    """HDF5 files of The Well: the groups of fields, ``scalars``, ``dimensions`` and ``boundary_conditions``.

    A field of the file has the axes that its attributes ``sample_varying``, ``time_varying`` and ``dim_varying`` say:
    (sample, time, *space), then ``component`` of a vector, or ``component`` and ``direction`` of a tensor. A trajectory
    is a sample. Name the fields that are wanted; ``at: {time: 0}`` takes the beginning as an input, and ``at: {time:
    [1, 100]}`` what follows as an output.
    """

    sources: ClassVar[tuple[Publication, ...]] = (
        Publication(
            "R. Ohana et al.",
            "The Well: a large-scale collection of diverse physics simulations for machine learning",
            2024,
            "NeurIPS 2024 Datasets and Benchmarks",
        ),
    )

    kind: Literal["the_well"] = "the_well"

    def source(self, name: str, file: Source) -> str:
        """Return the array of the name in whichever group has it; see `Layout.source`."""
        there = [f"{group}/{name}" for group in GROUPS if f"{group}/{name}" in file.names()]
        if len(there) != 1:
            known = [one for one in file.names() if one.split("/")[0] in GROUPS]
            raise StorageError(
                f"{file.path}: {len(there)} fields {name!r} in the groups {', '.join(GROUPS)}, expected one, of: "
                f"{', '.join(known) or 'none'}; say variables.{name}.from"
            )
        return there[0]

    def dims(self, source: str, file: Source) -> tuple[str | int, ...] | None:
        """Return the axes that the attributes of the field say; see `Layout.dims`."""
        group = source.split("/")[0]
        if group not in GROUPS:
            return file.dims(source)
        attrs = file.attrs(source)
        found: list[str | int] = [dim for dim in ("sample", "time") if attrs.get(f"{dim}_varying", False)]
        if group != "scalars":
            space = [str(dim) for dim in file.attrs("dimensions").get("spatial_dims", ())]
            varying = attrs.get("dim_varying", [True] * len(space))
            found += [dim for dim, varies in zip(space, varying, strict=True) if varies]
            found += {"t1_fields": ["component"], "t2_fields": ["component", "direction"]}.get(group, [])
        elif len(found) < len(file.shape(source)):
            # A number that does not vary has an axis of one point.
            found += [1] * (len(file.shape(source)) - len(found))
        return tuple(found)

    def coordinates(self, dims: Mapping[str, Dimension], name: str, file: Source) -> Dimension:
        """Return the array of the group ``dimensions``; see `Layout.coordinates`."""
        said = dims.get(name, Dimension())
        there = f"dimensions/{name}"
        if said.source or said.values or said.first is not None or there not in file.names():
            return said
        return said.model_copy(update={"source": there})
