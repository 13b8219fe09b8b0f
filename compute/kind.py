"""Configuration objects that carry their own behaviour, and unions of them told apart by ``kind``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationInfo, model_validator
from pydantic_core import CoreSchema, core_schema

log = logging.getLogger(__name__)

COLLECT = {"collect": True}
"""Context of a validation that lets fields pass which do not go together: `faults_in` says afterwards which."""


def in_units(unit: str) -> dict[str, Any]:
    """Return what a field is told of its unit, as in ``Field(16, json_schema_extra=in_units("samples"))``."""
    return {"unit": unit}


class Source(NamedTuple):
    """The publication of a method.

    Attributes
    ----------
    authors
        Who wrote it; all, or the first and "et al.".
    title, year
        What it is called, and when it came out.
    where
        Journal, conference or archive.
    claim
        What it says of the method, empty where it compares nothing.
    measured
        What came of that here: the file in ``benchmarks/`` that has the figures, empty where none has.
    """

    authors: str
    title: str
    year: int
    where: str
    claim: str = ""
    measured: str = ""

    def text(self) -> str:
        """Return it in one line."""
        return f"{self.authors}, “{self.title}”, {self.where} {self.year}"


class Fault(NamedTuple):
    """Fields that are each right by themselves and do not go together.

    Attributes
    ----------
    fields
        Dotted paths of those it depends on, from the object that has them.
    message
        Their names and values and what was expected.
    """

    fields: tuple[str, ...]
    message: str


class Kind(BaseModel):
    """A choice a user makes: frozen, refuses unknown fields, and has the methods that do the work.

    A subclass that can be chosen by name has a field ``kind: Literal["name"] = "name"``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    sources: ClassVar[tuple[Source, ...]] = ()
    """Where the method was published, the main one first; a class of its own, not those it inherits from."""

    def faults(self) -> Iterator[Fault]:
        """Yield which fields do not go together; one that has any cannot be made."""
        yield from ()

    @model_validator(mode="after")
    def _goes_together(self, info: ValidationInfo) -> Self:
        if info.context != COLLECT:
            found = [fault.message for fault in self.faults()]
            if found:
                raise ValueError("; ".join(found))
        return self


def faults_in(value: Any, path: str = "") -> Iterator[tuple[str, Fault]]:
    """Yield the faults of an object and of all inside it, each with the path of the object that has it."""
    if isinstance(value, tuple | list | Mapping):
        for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from faults_in(part, f"{path}.{key}")
    if not isinstance(value, Kind):
        return
    for name, field in type(value).model_fields.items():
        yield from faults_in(getattr(value, name), f"{path}.{field.alias or name}".lstrip("."))
    for fault in value.faults():
        yield path, Fault(tuple(f"{path}.{name}".lstrip(".") for name in fault.fields), fault.message)


def _name(cls: type[Kind]) -> str:
    return str(cls.model_fields["kind"].default)


class OneOf:
    """Annotation of a field that holds one of several kinds, chosen by the field ``kind``.

    Use as ``Annotated[Problem, OneOf(Problem, lambda: (Darcy,), group="ritz.problems")]``. A mapping is
    validated as the kind it names, a string is short for that kind with its defaults; an instance of ``parent``
    is taken as it is, so a class of one's own works in Python without being registered.

    Parameters
    ----------
    parent
        Common parent class; its instances are accepted unchanged.
    shipped
        Returns the classes that ship with the project.
    group
        Entry-point group through which installed packages add classes, or None.
    short
        Whether one with nothing but defaults is written as its name, as a string says it.
    """

    def __init__(
        self,
        parent: type[Kind],
        shipped: Callable[[], tuple[type[Kind], ...]],
        group: str | None = None,
        *,
        short: bool = False,
    ) -> None:
        self.parent, self.shipped, self.group, self.short = parent, shipped, group, short

    def kinds(self) -> dict[str, type[Kind]]:
        """Return the classes that can be chosen, by their ``kind``.

        One of a package that cannot be loaded, or is no class of this sort, is left out with a line that names the
        package: recipes that do not use it work. A shipped kind keeps its name.
        """
        found = {_name(cls): cls for cls in self.shipped()}
        for entry in entry_points(group=self.group) if self.group is not None else ():
            try:
                cls = entry.load()
                if not issubclass(cls, self.parent):
                    raise TypeError(f"{cls.__name__} is no {self.parent.__name__}")
                name = _name(cls)
                if name in found:
                    raise ValueError(f"the kind {name!r} is there already")
            # What the package of somebody else does when it is imported can be anything.
            except Exception as error:  # noqa: BLE001
                package = entry.dist.name if entry.dist is not None else "a package"
                reason = f"{type(error).__name__}: {error}".partition("\n")[0]
                log.warning("%s: %r of %s is left out: %s", self.group, entry.name, package, reason)
                continue
            found[name] = cls
        return found

    def written(self, value: Kind) -> dict[str, Any] | str:
        """Return a value as a recipe has it."""
        if self.short and not value.model_dump(exclude_defaults=True):
            return _name(type(value))
        return value.model_dump(mode="json")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Build the schema: an instance as it is, else a union told apart by ``kind``."""
        parent = self.parent
        tagged = core_schema.tagged_union_schema(
            choices={kind: handler.generate_schema(cls) for kind, cls in self.kinds().items()},
            discriminator="kind",
        )

        def instance_or_mapping(value: Any, validate: core_schema.ValidatorFunctionWrapHandler) -> Any:
            if isinstance(value, parent):
                return value
            return validate({"kind": value} if isinstance(value, str) else value)

        return core_schema.no_info_wrap_validator_function(
            instance_or_mapping,
            tagged,
            serialization=core_schema.plain_serializer_function_ser_schema(self.written),
        )
