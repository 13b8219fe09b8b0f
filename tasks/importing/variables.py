from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from ritz.compute.kind import Fault, Kind

Patterns = tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...]
"""Paths, or patterns of paths, with ``*``, ``?``, ``[…]`` and ``**``."""

Position = Annotated[int, Field(ge=-(2**31), lt=2**31)]


def listed(given: Any) -> Any:
    """Return one text as a list of one, everything else as it is."""
    return (given,) if isinstance(given, str) else given


class Dimension(Kind):
    """Where the points of a dimension lie: at values of a file, or as they are listed here."""

    source: str = Field(
        "", alias="from", max_length=1000, description="Array of the files with the coordinates, GROUP/NAME."
    )
    values: tuple[float, ...] = Field((), description="Coordinates, in `units`, where no file has them.")
    first: float | None = Field(None, description="Coordinate of the first of evenly spaced points, in `units`.")
    last: float | None = Field(None, description="Coordinate of the last of evenly spaced points, in `units`.")
    axis: Literal["X", "Y", "Z", "T", "none"] | None = Field(
        None, description="Axis of space, T for time; by the name of the dimension by default."
    )
    units: str | None = Field(None, max_length=100, description="Units; those that the file says, or 1, by default.")
    long_name: str = Field("", max_length=1000, description="What it is, in words.")

    def faults(self) -> Iterator[Fault]:
        """Yield coordinates that are said twice; see `Kind.faults`."""
        said = [
            name
            for name, there in (
                ("from", bool(self.source)),
                ("values", bool(self.values)),
                ("first", self.first is not None or self.last is not None),
            )
            if there
        ]
        if len(said) > 1:
            yield Fault(tuple(said), f"{' and '.join(said)} are given, expected one of them")
        if (self.first is None) != (self.last is None):
            yield Fault(("first", "last"), f"first is {self.first} and last is {self.last}, expected both or neither")

    def axis_of(self, name: str) -> str:
        """Return the axis, by the name ``x``, ``y``, ``z`` or ``time`` where it is not said; empty for channels."""
        if self.axis is not None:
            return "" if self.axis == "none" else self.axis
        return {"x": "X", "y": "Y", "z": "Z", "time": "T"}.get(name, "")


class Variable(Kind):
    """A variable of the dataset: where it lies in the files, and what is done to its values.

    A stored value is ``scale · apply(value) / divide_by + offset``.
    """

    role: Literal["input", "output", "parameter"] = Field(
        description="What it is to a surrogate; a parameter is an input of one number per sample."
    )
    source: str = Field(
        "", alias="from", max_length=1000, description="Array of the files, GROUP/NAME; its own name by default."
    )
    attribute: str = Field(
        "", max_length=1000, description="Attribute of the files that holds a parameter, in place of an array."
    )
    files: Patterns = Field((), description="Files of this variable alone, as many as the others have.")
    dims: tuple[Annotated[str, Field(min_length=1, max_length=100)] | Literal[1], ...] | None = Field(
        None,
        description="Dimensions in the order of the file, with that of the samples, if any; 1 is an axis of one point "
        "that is left out. As the file names them by default.",
    )
    at: dict[str, Position | tuple[Position, Position]] = Field(
        {}, description="One position of a dimension, which is left out then, or the first and the end of several."
    )
    apply: Literal["identity", "log", "log10", "exp", "sqrt"] = Field("identity", description="Function of the values.")
    scale: float = Field(1.0, description="Factor, in units of the variable per unit of the file.")
    divide_by: str = Field(
        "", max_length=1000, description="Attribute of the files by whose number values are divided."
    )
    offset: float = Field(0.0, description="What is added at last, in units of the variable.")
    units: str | None = Field(None, max_length=100, description="Units; those that the file says, or 1, by default.")
    long_name: str = Field("", max_length=1000, description="What it is, in words; its name by default.")
    transform: Literal["identity", "log"] = Field("identity", description="What a surrogate sees of it.")

    @field_validator("files", mode="before")
    @classmethod
    def _one_or_many(cls, given: Any) -> Any:
        return listed(given)

    @field_validator("dims", mode="before")
    @classmethod
    def _no_flags(cls, given: Any) -> Any:
        # YAML reads yes and on as flags, and a flag is 1 to Python.
        if isinstance(given, list | tuple) and any(isinstance(one, bool) for one in given):
            raise ValueError("expected names and 1, got true or false: put a name such as yes in quotes")
        return given

    def faults(self) -> Iterator[Fault]:
        """Yield fields that do not go together; see `Kind.faults`."""
        if self.attribute and (self.source or self.role != "parameter"):
            with_what = f"from = {self.source!r}" if self.source else f"role = {self.role!r}"
            yield Fault(
                ("attribute", "from", "role"),
                f"attribute is {self.attribute!r} with {with_what}, expected a parameter without from",
            )
        if self.scale == 0:
            yield Fault(("scale",), "scale is 0, expected another factor: all values would be the same")
        for dim, where in self.at.items():
            if isinstance(where, tuple) and where[0] >= where[1] >= 0:
                yield Fault(("at",), f"at.{dim} is {list(where)}, expected the first position and a later end")
