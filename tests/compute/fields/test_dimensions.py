from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.compute.fields.dimensions import Dimensions

SIZES = {"sample": 2, "time": 3, "z": 4, "y": 5, "x": 6, "mode": 7, "node": 8, "lat": 5, "lon": 6}


def _template(coords: Mapping[str, Any] | None = None, **variables: Any) -> xr.Dataset:
    """A template from variables like ``a="y x"``; outputs are named u and v."""
    fields = {}
    for name, dims in variables.items():
        shape = tuple(SIZES[dim] for dim in ("sample", *dims.split()))
        role = "output" if name in "uv" else "input"
        fields[name] = (("sample", *dims.split()), np.zeros(shape, np.float32), {"role": role})
    return xr.Dataset(fields, coords=coords)


def test_space_goes_by_name_where_no_coordinate_says_otherwise() -> None:
    found = Dimensions.of(_template(a="y x", nu="", p="mode", west="y", f="time x", u="time y x", v="x time y"))
    assert found.space == ("y", "x")
    assert found.shape == (5, 6)
    assert found.inputs == ("a", "nu", "p", "west", "f")
    assert {name: found.channels(name) for name in found.variables} == {
        "a": 1, "nu": 1, "p": 7, "west": 1, "f": 3, "u": 3, "v": 3,
    }  # fmt: skip
    assert {name: found.along(name) for name in ("a", "nu", "west", "f")} == {
        "a": (True, True), "nu": (False, False), "west": (True, False), "f": (False, True),
    }  # fmt: skip
    assert not found.mesh


def test_space_goes_by_the_attribute_axis_in_the_order_z_y_x() -> None:
    axes = {"lat": ("lat", np.arange(5.0), {"axis": "Y"}), "lon": ("lon", np.arange(6.0), {"axis": "X"})}
    assert Dimensions.of(_template(axes, a="lon lat", u="lat lon")).space == ("lat", "lon")
    assert Dimensions.of(_template(u="x z y")).space == ("z", "y", "x")
    # A coordinate that says it is time is no space, whatever it is called.
    said = {"z": ("z", np.arange(4.0), {"axis": "T"})}
    assert Dimensions.of(_template(said, u="z x")).space == ("x",)


def test_a_mesh_is_space_alone() -> None:
    found = Dimensions.of(_template({"x": ("node", np.arange(8.0), {})}, p="mode", u="time node"))
    assert found.mesh
    assert (found.space, found.shape, found.lengths) == (("node",), (8,), None)
    assert found.channels("u") == 3


def test_lengths_come_from_the_coordinates() -> None:
    def lengths(y: np.ndarray) -> tuple[float, ...] | None:
        return Dimensions.of(_template({"y": y}, u="y x")).lengths

    # Cell centres lie half a cell from the walls.
    assert lengths((np.arange(5) + 0.5) / 5) == (1.0, 1.0)
    assert lengths(3 + 0.4 * np.arange(5)[::-1]) == (2.0, 1.0)
    assert lengths(np.array([0, 1, 2, 3, 5.0])) is None


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"u": "time"}, "the dimensions of space are \\(\\)"),
        ({"u": "node x"}, "'node' alone"),
        ({"a": "y x", "u": "x"}, r"output 'u' has the dimensions \('x',\), expected \['y'\] among them"),
        ({}, "expected one to three"),
    ],
)
def test_what_has_no_space_or_too_much_is_refused(variables: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Dimensions.of(_template(**variables))


def test_two_dimensions_cannot_be_one_axis() -> None:
    with pytest.raises(ValueError, match="the dimensions of space are"):
        Dimensions.of(_template({"lon": ("lon", np.arange(6.0), {"axis": "X"})}, u="lon x"))


def test_stacking_and_unstacking_move_values_and_lose_none() -> None:
    found = Dimensions.of(_template(f="x time", west="y", nu="", u="mode y time x"))
    rng = np.random.default_rng(0)
    f, west = rng.random((2, 6, 3)), rng.random((2, 5))
    assert found.stack("f", f).shape == (2, 3, 1, 6)
    np.testing.assert_array_equal(found.stack("f", f)[:, 2, 0, 4], f[:, 4, 2])
    assert found.stack("west", west).shape == (2, 1, 5, 1)
    assert found.stack("nu", rng.random(2)).shape == (2, 1, 1, 1)
    u = rng.random((2, 7, 5, 3, 6))
    channels = found.stack("u", u)
    assert channels.shape == (2, 21, 5, 6)
    np.testing.assert_array_equal(channels[1, 4 * 3 + 2, 3, 5], u[1, 4, 3, 2, 5])
    np.testing.assert_array_equal(found.unstack("u", channels), u)
    # Another grid, the same channels.
    assert found.unstack("u", np.zeros((1, 21, 9, 8))).shape == (1, 7, 9, 3, 8)


def test_the_grid_is_that_of_the_fields() -> None:
    found = Dimensions.of(_template(a="y x", west="y", p="mode", u="y x"))
    a, west, p = np.zeros((2, 9, 4)), np.zeros((2, 9)), np.zeros((2, 7))
    assert found.grid({"a": a, "west": west, "p": p}) == (9, 4)
    assert found.grid({"west": west}) == (9, 6)
    assert found.grid({"p": p}) == (5, 6)
    with pytest.raises(ValueError, match=r"different numbers of points along 'y': \{'a': 9, 'west': 8\}"):
        found.grid({"a": a, "west": west[:, 1:]})
    with pytest.raises(ValueError, match="different numbers of points along 'sample'"):
        found.grid({"a": a, "p": p[:1]})
    with pytest.raises(ValueError, match=r"'p' has the shape \(2, 6\), expected \(sample, mode: 7\)"):
        found.grid({"p": p[:, 1:]})
    with pytest.raises(ValueError, match=r"'west' has the shape \(2, 9, 4\), expected \(sample, y\)"):
        found.grid({"west": a})


def test_it_survives_json() -> None:
    found = Dimensions.of(_template(a="y x", nu="", u="time y x"))
    assert Dimensions.model_validate_json(found.model_dump_json()) == found
