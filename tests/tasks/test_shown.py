from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.fields.dimensions import Dimensions
from ritz.tasks.report.figures.lines import group_name, grouped
from ritz.tasks.report.figures.shown import Shown, caption, cut, explanation, named
from ritz.tasks.report.material import Material

POINTS = {"z": 6, "y": 4, "x": 5, "time": 6, "mode": 6, "wall": 2, "component": 2}


def _material(
    space: tuple[str, ...], attrs: dict[str, dict[str, str]] | None = None, **dims: tuple[str, ...]
) -> Material:
    """Two samples with values that tell their place: the output is ``u``, all others are inputs."""
    fields = {
        name: np.arange(2.0 * np.prod([POINTS[dim] for dim in along], dtype=int)).reshape(
            2, *(POINTS[d] for d in along)
        )
        for name, along in dims.items()
    }
    inputs = {name: values for name, values in fields.items() if name != "u"}
    coordinates = {dim: np.linspace(0, 1, POINTS[dim]) for dim in (*space, "time")}
    return Material(
        sample_id=np.array([3, 4]),
        inputs=inputs,
        truth={"u": fields["u"]},
        prediction={"u": fields["u"] + 1},
        dimensions=Dimensions(space=space, sizes=POINTS, variables=dims, inputs=tuple(inputs)),
        coordinates=coordinates,
        attrs=attrs or {},
    )


def test_the_last_time_and_the_middle_plane_are_shown() -> None:
    material = _material(("z", "y", "x"), {"time": {"units": "s"}}, u=("time", "z", "y", "x"))
    shown = Shown.of(material, "u", 1)
    assert shown.dims == ("y", "x")
    np.testing.assert_array_equal(shown.truth, material.truth["u"][1, 5, 3])
    expected = " Shown at time = 1 s (the last that is stored), at z = 0.6; errors are of the whole field."
    assert caption(material, "u") == expected
    # The error of the heading is that of all times and planes.
    whole = material.truth["u"][1]
    assert shown.relative_l2 == pytest.approx(np.sqrt(whole.size) / np.linalg.norm(whole))


def test_a_vector_is_shown_by_its_first_entry() -> None:
    material = _material(("y", "x"), u=("y", "component", "x"))
    np.testing.assert_array_equal(Shown.of(material, "u", 0).truth, material.truth["u"][0, :, 0])
    assert "at component = entry 1" in caption(material, "u")
    assert caption(_material(("y", "x"), u=("y", "x")), "u") == ""


def test_few_numbers_are_written_and_what_lies_along_something_is_drawn() -> None:
    about = {"level": {"units": "K", "long_name": "temperature of a wall"}}
    material = _material(
        ("y", "x"), about, nu=(), level=("wall",), p=("mode",), west=("y",), a=("y", "x"), u=("y", "x")
    )
    shown = Shown.of(material, "u", 1)
    assert set(shown.numbers) == {"nu", "level"}
    assert {name: drawn.dims for name, drawn in shown.inputs.items()} == {
        "p": ("mode",),
        "west": ("y",),
        "a": ("y", "x"),
    }
    first, second = shown.heading(material).split("\n")
    assert first.startswith("sample 4")
    assert second == "nu = 1,  level = 2, 3 K"
    alone = Shown.of(_material(("y", "x"), about, level=("wall",), u=("y", "x")), "u", 0)
    assert alone.heading(material).endswith(",  temperature of a wall level = 0, 1 K")


def test_an_input_over_time_is_drawn_over_time() -> None:
    material = _material(("x",), force=("time",), u=("time", "x"))
    assert cut(material, "force", material.inputs["force"][0]).dims == ("time",)
    assert Shown.of(material, "u", 0).inputs.keys() == {"force"}


def test_lines_of_one_unit_share_a_panel() -> None:
    attrs = {"west": {"units": "Pa"}, "south": {"units": "Pa"}, "flux": {"units": "W"}, "p": {"units": "Pa"}}
    material = _material(
        ("y", "x"), attrs, west=("y",), p=("mode",), south=("x",), flux=("x",), a=("y", "x"), u=("y", "x")
    )
    groups = grouped(material, Shown.of(material, "u", 0))
    assert [list(group) for group in groups] == [["west", "south"], ["p"], ["flux"]]
    assert [group_name(material, group) for group in groups] == ["west, south (Pa)", "p (Pa)", "flux (W)"]


def test_a_name_that_is_too_long_gives_way_to_its_symbol() -> None:
    material = _material(("x",), {"u": {"long_name": "temperature", "units": "K"}}, u=("x",))
    assert named(material, "u") == "temperature u (K)"
    assert named(material, "u", 12) == "u (K)"


def test_a_line_over_time_is_drawn_as_an_image_of_both() -> None:
    material = _material(("x",), u=("time", "x"))
    assert cut(material, "u", material.truth["u"][0]).dims == ("time", "x")
    assert caption(material, "u") == ""
    assert "share a colour scale" in explanation(material, "u")


def test_lines_are_explained_as_lines_and_images_as_images() -> None:
    lines, images = _material(("x",), u=("x",)), _material(("y", "x"), u=("y", "x"))
    assert "colour" not in explanation(lines, "u")
    assert "prediction (dashed)" in explanation(lines, "u")
    assert "colour scale" in explanation(images, "u")
    assert explanation(_material(("y", "x"), u=("time", "y", "x")), "u").endswith("errors are of the whole field.")
