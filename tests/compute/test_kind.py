from __future__ import annotations

import pickle
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

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
