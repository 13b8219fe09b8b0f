from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ritz.compute.document import Json
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.uncertainty.propagation.propagation import Propagation
from ritz.storage.store import Store
from ritz.tasks.parsing.asked_law import asked_law
from ritz.tasks.parsing.asked_rows import is_of_rows, without_coordinates
from ritz.tasks.parsing.identity import document_hash
from ritz.tasks.parsing.plain_yaml import parse
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.propagation.rungs import RungPlace, places
from ritz.tasks.propagation.stored_law import StoredLaw, stored_law
from ritz.tasks.propagation.worker import NETWORK, ModelRung


def of_pipeline(pipeline: Pipeline, store: Store, model: str, dataset: str, identity: str) -> list[Question]:
    """Return the questions of a recipe, for the run that made a model.

    Parameters
    ----------
    store
        With the datasets of laws of rows.
    model, dataset
        ``NAME@VERSION``.
    identity
        What fixed the model.

    Raises
    ------
    ritz.tasks.errors.RecipeError, ritz.storage.errors.Unknown
        As `Question.under`.
    """
    data = pipeline.data
    questions = [
        Question(
            about=model,
            problem=pipeline.problem,
            rtol=data.rtol,
            seed=data.seed,
            changes={},
            asked=asked,
            model=model,
            dataset=dataset,
            identity_of_model=identity,
            surrogate=pipeline.surrogate,
        )
        for asked in pipeline.propagate
    ]
    return [
        question.under(question.asked.law, store, f"propagate.{number}.law") if question.asked.law else question
        for number, question in enumerate(questions)
    ]


@dataclass(frozen=True)
class Question:
    """What is asked about which population.

    Attributes
    ----------
    about
        Name of the model or recipe, as it is called in the answer.
    problem, rtol, seed
        The truth: what is solved, to which tolerance; the law, with the seed of its samples.
    changes
        Fields of the problem that differ from those of the dataset or recipe.
    asked
        The question itself, without a law: that is in the others.
    model, dataset
        ``NAME@VERSION`` of a model whose predictions are a rung; empty for a recipe alone.
    identity_of_model
        What fixed it.
    surrogate
        What learnt it, where its class is not registered.
    law
        Of the rows of a dataset, in the place of the problem's.
    """

    about: str
    problem: Problem
    rtol: float
    seed: int
    changes: Json
    asked: Propagation
    model: str = ""
    dataset: str = ""
    identity_of_model: str = ""
    surrogate: Surrogate | None = None
    law: StoredLaw | None = None

    def under(self, fields: str | Json, store: Store, field: str) -> Question:
        """Return the question about another law.

        Parameters
        ----------
        fields
            Of the problem or its law with other values, as YAML or read; or kind, dataset and parameters of a law of
            rows; see `ritz.tasks.parsing.asked_law.asked_law` and `ritz.tasks.propagation.stored_law.stored_law`.
        field
            Where they are given, for messages.

        Raises
        ------
        ritz.tasks.errors.RecipeError
            If they are no law, or one that the problem cannot take.
        ritz.storage.errors.Unknown
            If there is no such dataset.
        """
        given = parse(fields, field) if isinstance(fields, str) else fields
        asked = self.asked.model_copy(update={"law": {}})
        if isinstance(given, Mapping) and is_of_rows(given):
            return replace(self, asked=asked, law=stored_law(given, self.problem, store, field))
        other = asked_law(given, self.problem, {})
        return replace(self, asked=asked, problem=other.problem, changes=other.changes)

    @property
    def leading(self) -> int:
        """Coordinates of the law that may be given: rows have none."""
        return self.problem.leading if self.law is None else 0

    def unfit(self) -> str:
        """Return why this is no question about its population, in a few words; empty where it is."""
        of_law = "" if self.law is None else without_coordinates(self.asked, self.law.law)
        return of_law or self.asked.unfit(self.problem)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the cluster that work on it: without a model no worker predicts."""
        return ("solve", "train") if self.model else ("solve",)

    def places(self, store: str) -> tuple[dict[str, RungPlace], dict[str, str]]:
        """Return the rungs by name, the truth first, and why others are none; the store is that of the model."""
        model = ModelRung(store, self.model, self.dataset, NETWORK, self.surrogate) if self.model else None
        return places(self.problem, self.rtol, self.asked.quantities, model, self.asked.rungs or (), self.law)

    @property
    def identity(self) -> str:
        """Hash of what fixes the answer, but for the time that there was."""
        fixed = {
            "problem": self.problem.model_dump(mode="json"),
            "rtol": self.rtol,
            "seed": self.seed,
            "asked": self.asked.model_dump(mode="json"),
            "model": self.identity_of_model,
        }
        # Questions from before a law could be one of rows are the same ones.
        rows = {} if self.law is None else {"law": self.law.document, "rows": self.law.snapshot}
        return document_hash({**fixed, **rows})
