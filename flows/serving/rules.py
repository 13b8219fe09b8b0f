"""What a server starts by itself when something has happened: a version was published, a model missed its gate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from ritz.compute.kind import Kind, OneOf, in_units
from ritz.storage.wording import shown
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.plain_yaml import read
from ritz.tasks.parsing.validation import validated
from ritz.tasks.pipeline import Name

PUBLISHED = "ritz.dataset.published"
"""Name of the event that a dataset has a new version."""

MISSED = "ritz.model.missed"
"""Name of the event that a model has missed the gate of its recipe."""


class Rule(Kind, ABC):
    """A rule of a server: which event starts which work."""

    kind: str
    recipe: str = Field(min_length=1, description="Name of a shipped recipe, or path of a YAML file.")

    @property
    @abstractmethod
    def event(self) -> str:
        """Name of the event."""

    @abstractmethod
    def subject(self, name: str) -> dict[str, str]:
        """Return what the resource of the event has to be like, where the recipe has the given `name`."""

    @abstractmethod
    def text(self, name: str) -> str:
        """Return the rule in words."""


class Train(Rule):
    """Train the surrogate of a recipe on every version that is published of a dataset, and judge the model."""

    kind: Literal["train"] = "train"
    dataset: Name | None = Field(None, description="Name of the dataset; by default the `name` of the recipe.")

    @property
    def event(self) -> str:
        """See `Rule.event`."""
        return PUBLISHED

    def subject(self, name: str) -> dict[str, str]:
        """See `Rule.subject`."""
        return {"prefect.resource.id": f"ritz.dataset.{self.dataset or name}"}

    def text(self, name: str) -> str:
        """See `Rule.text`."""
        return f"a version of dataset {self.dataset or name} is published: train {name} on it"


class Grow(Rule):
    """Grow the dataset of a recipe when a model that was trained on it misses its gate.

    A dataset is never grown beyond ``data.samples`` of the recipe and ``at_most`` times ``by``, whatever misses how
    often: so a circle of growing, training and missing comes to its end.
    """

    kind: Literal["grow"] = "grow"
    model: Name | None = Field(None, description="Name of the model; by default every model on the dataset.")
    by: int = Field(
        gt=0,
        le=10**9,
        description="Samples that are added to the version on which the model missed; a multiple of `data.shard`.",
        json_schema_extra=in_units("samples"),
    )
    at_most: int = Field(gt=0, le=10**6, description="How often the dataset is grown so.")

    @property
    def event(self) -> str:
        """See `Rule.event`."""
        return MISSED

    def subject(self, name: str) -> dict[str, str]:
        """See `Rule.subject`."""
        return {"prefect.resource.id": f"ritz.model.{self.model or '*'}", "ritz.dataset": name}

    def text(self, name: str) -> str:
        """See `Rule.text`."""
        who = f"model {self.model}" if self.model else "a model"
        times = "once" if self.at_most == 1 else f"{self.at_most} times"
        return f"{who} on dataset {name} misses its gate: grow {name} by {self.by} samples, at most {times}"


AnyRule = Annotated[Rule, OneOf(Rule, lambda: (Train, Grow))]
"""Field type: a rule of any kind."""


class Rules(Kind):
    """The rules of a server: what a file of them holds."""

    rules: tuple[AnyRule, ...] = Field(description="What follows what.", min_length=1)


def rules(path: str) -> tuple[Rule, ...]:
    """Return the rules in a YAML file.

    Raises
    ------
    RecipeError
        If the file cannot be read, or is not as it must be: with all faults there are.
    """
    what = f"rules {shown(path)}"
    document = read(Path(path), what)
    if not isinstance(document, dict):
        raise RecipeError(f"{what}: expected a mapping with the field `rules`, got {type(document).__name__}")
    made: Rules = validated(what, TypeAdapter(Rules), Rules, document)
    return made.rules
