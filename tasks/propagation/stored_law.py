"""A law of the rows of a dataset of a store, in the place of the law of a problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ritz.compute.document import Json
from ritz.compute.problems.external import External
from ritz.compute.problems.problem import Problem
from ritz.compute.simulation.restriction import Restriction
from ritz.compute.uncertainty.propagation.laws.input_law import InputLaw
from ritz.compute.uncertainty.propagation.laws.stored_inputs import StoredInputs
from ritz.storage.reading import read, resolve
from ritz.storage.store import Store
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.asked_rows import law_of_rows
from ritz.tasks.parsing.recorded_problem import recipe_of


@dataclass(frozen=True)
class StoredLaw:
    """A law of the rows of a version of a dataset.

    Attributes
    ----------
    store
        URL.
    dataset
        ``NAME@VERSION``.
    snapshot
        Of the version, which never changes.
    law
        How it is made of the rows.
    rows
        How many there are: the samples that are ok.
    """

    store: str
    dataset: str
    snapshot: str
    law: InputLaw
    rows: int

    @property
    def document(self) -> Json:
        """The law as it is asked for, with all its parameters and the version."""
        return {"kind": self.law.kind, "dataset": self.dataset, **self.law.model_dump(mode="json", exclude={"kind"})}

    def stored(self) -> StoredInputs:
        """Open the rows."""
        return StoredInputs(read(Store(self.store), self.dataset))

    def unfit(self, problem: Problem) -> str:
        """Return why the rows give no inputs on the grid of a problem, in a few words; empty where they do."""
        found = Restriction.between(self.stored().template, problem.template(1))
        return found if isinstance(found, str) else ""


def stored_law(fields: Mapping[str, Any], problem: Problem, store: Store, field: str) -> StoredLaw:
    """Find the rows of a law, and refuse those that a problem cannot take.

    Raises
    ------
    RecipeError
        If the fields describe no law, or the dataset is of another problem, has other inputs, fewer points than the
        problem, or too few rows.
    ritz.storage.errors.Unknown
        If there is no such dataset; the message lists those there are.
    """
    law, dataset = law_of_rows(fields, field)
    version = resolve(store, dataset)
    kind = (recipe_of(store, version.spec).get("problem") or {}).get("kind")
    external = External.model_fields["kind"].default
    if kind not in (problem.kind, external):
        raise RecipeError(
            f"{field}: dataset {version.spec} is of problem {kind!r}, expected one of problem {problem.kind!r}, or an "
            "imported one"
        )
    data = read(store, version.spec)
    made = StoredLaw(store.url, version.spec, version.snapshot, law, data.sizes["sample"])
    reason = law.unfit(StoredInputs(data)) if made.rows else "it has no sample that is ok"
    reason = reason or made.unfit(problem)
    if reason:
        raise RecipeError(f"{field}: dataset {version.spec}, {law.kind}: {reason}")
    return made
