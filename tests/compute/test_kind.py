from __future__ import annotations

import pickle
from importlib.metadata import EntryPoint
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from ritz.compute import kind
from ritz.compute.kind import Kind, OneOf


class Shape(Kind):
    kind: str


class Disc(Shape):
    kind: Literal["disc"] = "disc"
    radius: float = Field(1.0, gt=0)


class Square(Shape):
    kind: Literal["square"] = "square"


class Unregistered(Shape):
    kind: Literal["unregistered"] = "unregistered"
    side: float = 2.0


class Drawing(Kind):
    shape: Annotated[Shape, OneOf(Shape, lambda: (Disc, Square))] = Disc()


class Lonely(Kind):
    shape: Annotated[Shape, OneOf(Shape, lambda: (Disc,))] = Disc()


def test_a_mapping_becomes_the_kind_it_names() -> None:
    assert Drawing.model_validate({"shape": {"kind": "disc", "radius": 3}}).shape == Disc(radius=3)


def test_a_string_is_short_for_the_kind_with_its_defaults() -> None:
    assert Drawing.model_validate({"shape": "square"}).shape == Square()


def test_an_instance_of_ones_own_class_is_taken_as_it_is_and_written_whole() -> None:
    drawing = Drawing(shape=Unregistered(side=5))
    assert drawing.shape == Unregistered(side=5)
    assert drawing.model_dump(mode="json") == {"shape": {"kind": "unregistered", "side": 5.0}}
    assert pickle.loads(pickle.dumps(drawing)) == drawing


@pytest.mark.parametrize("model", [Drawing, Lonely])
@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"kind": "line"}, "'disc'"),
        ({"radius": 1}, "kind"),
        ({"kind": "disc", "radius": -1}, "greater than 0"),
        ({"kind": "disc", "radius": float("nan")}, "radius"),
        ({"kind": "disc", "colour": "red"}, "colour"),
        (7, "shape"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(model: type[Kind], shape: object, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        model.model_validate({"shape": shape})


def test_a_kind_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Disc().radius = 2.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no_such_package:Star", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("tests.compute.test_kind:Star", "AttributeError: module 'tests.compute.test_kind' has no attribute 'Star'"),
        ("tests.compute.test_kind:Drawing", "TypeError: Drawing is no Shape"),
        ("tests.compute.test_kind:Disc", "ValueError: the kind 'disc' is there already"),
    ],
)
def test_a_package_that_fails_to_load_is_named_and_the_others_work(
    value: str, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    offered = [
        EntryPoint("star", value, "shapes"),
        EntryPoint("open", "tests.compute.test_kind:Unregistered", "shapes"),
    ]
    monkeypatch.setattr(kind, "entry_points", lambda group: [entry for entry in offered if entry.group == group])

    class Sketch(Kind):
        shape: Annotated[Shape, OneOf(Shape, lambda: (Disc,), group="shapes")] = Disc()

    assert Sketch.model_validate({"shape": {"kind": "unregistered", "side": 3}}).shape.kind == "unregistered"
    assert Sketch.model_validate({"shape": "disc"}).shape == Disc()
    assert caplog.messages == [f"shapes: 'star' of a package is left out: {said}"]
