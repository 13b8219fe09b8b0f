"""Attributes of files that are handed on, as the CF and UGRID conventions want them.

Datasets in the store keep the attributes of their layout; these are theirs when they leave it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ritz.storage.documents import Json

CONVENTIONS = "CF-1.11"

NODE, TRIANGLES, MESH = "node", "triangle", "mesh"
"""The nodes of a mesh, the coordinate with the corners of its triangles, and the variable that describes both."""

_AXES = {"x": "X", "y": "Y", "z": "Z"}


def of_coordinate(name: str, attrs: Mapping[str, Any]) -> Json:
    """Return the attributes of a coordinate of space or time.

    A coordinate has no missing values, hence no ``_FillValue``. ``axis`` says of X and Y that they are longitude and
    latitude to programs which know nothing but the Earth, and of T that the units name a date: it goes where the name
    of the coordinate tells the axis, and where time has no date to count from.
    """
    kept = {key: value for key, value in attrs.items() if key != "_FillValue"}
    axis = kept.get("axis")
    counts_from_a_date = axis == "T" and " since " in str(kept.get("units", ""))
    if axis is not None and (axis == _AXES.get(name) or (axis == "T" and not counts_from_a_date)):
        del kept["axis"]
    return kept | (_CONNECTIVITY if name == TRIANGLES else {})


def of_group(attrs: Mapping[str, Any], names: Collection[str]) -> Json:
    """Return the global attributes of a file with these coordinates.

    The variable that describes a mesh is named beside the coordinates, so that xarray does not take it for a field.
    """
    if TRIANGLES not in names:
        return dict(attrs)
    apart = [name for name in str(attrs.get("coordinates", "")).split() if name not in (TRIANGLES, MESH)]
    ugrid = {"Conventions": f"{CONVENTIONS} UGRID-1.0", "coordinates": " ".join([*apart, TRIANGLES, MESH])}
    return {**attrs, **ugrid}


def of_field(dims: Collection[str], names: Collection[str]) -> dict[str, str]:
    """Return what a field on a mesh says of it: which one, and that its values are those of the nodes."""
    return {"mesh": MESH, "location": NODE} if TRIANGLES in names and NODE in dims else {}


_CONNECTIVITY = {"start_index": 0}

TOPOLOGY: Json = {
    "cf_role": "mesh_topology",
    "long_name": "triangles of the mesh",
    "topology_dimension": 2,
    "node_coordinates": "x y",
    "face_node_connectivity": TRIANGLES,
}
"""Attributes of `MESH`, an integer whose value says nothing."""
