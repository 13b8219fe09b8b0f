"""What rooms hand to each other and keep in a store: typed, frozen, read and written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

Number = int | float
"""A number that is written as it was read: 1 does not become 1.0."""

Json = Mapping[str, Any]
"""A JSON object that is kept as it is because another part of the program knows its fields: a recipe, a solver's."""

FORMAT = "format"
"""Entry of a document with the number of its format; the first format has none."""


class DocumentPart(BaseModel):
    """A typed piece of a document, frozen.

    It is written as it was read or made: the same entries in the same order, those included that no field knows. An
    entry that was not given is not written, so a field that came later has a default, and older documents stay as they
    are.

    Examples
    --------
    >>> class Clock(DocumentPart):
    ...     seconds: Number
    ...     steps: int | None = None
    >>> Clock.model_validate({"pace": "slow", "seconds": 3}).document()
    {'pace': 'slow', 'seconds': 3}
    """

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True, protected_namespaces=())

    _keys: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="wrap")
    @classmethod
    def _in_order(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        made = validate(given)
        if isinstance(given, Mapping):
            aliases: dict[str, str] = {name: field.alias or name for name, field in cls.model_fields.items()}
            made._keys = tuple(str(aliases.get(name, name)) for name in given)
        return made

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written = write(self)
        return {key: written[key] for key in self._keys}

    def document(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def entries(self) -> dict[str, Any]:
        """Return the typed values by their names in JSON, in their order."""
        names: dict[str, str] = {field.alias or name: name for name, field in type(self).model_fields.items()}
        return {key: getattr(self, names.get(key, key)) for key in self._keys}

    def without(self, *names: str) -> Self:
        """Return it without some entries, by their names in JSON."""
        return type(self).model_validate({name: value for name, value in self.entries().items() if name not in names})

    def changed(self, **entries: Any) -> Self:
        """Return it with other values of some entries, and with further ones, which come last."""
        return type(self).model_validate(self.entries() | entries)


class Document(DocumentPart):
    """A document by itself, with a format: the first one is written without a number.

    A change that older releases would misread raises `newest`, and the class then has a field ``format`` and still
    reads the formats before.

    Raises
    ------
    pydantic.ValidationError
        An entry is missing or of another type, or a later release wrote the document.
    """

    newest: ClassVar[int] = 1
    """The newest format that this release reads."""

    @model_validator(mode="before")
    @classmethod
    def _of_known_format(cls, given: Any) -> Any:
        number = given.get(FORMAT, 1) if isinstance(given, Mapping) else 1
        if type(number) is not int or not 1 <= number <= cls.newest:
            raise ValueError(f"{FORMAT} is {number!r}, expected at most {cls.newest}: a later release wrote it")
        return given
