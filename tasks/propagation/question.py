from __future__ import annotations

from dataclasses import dataclass

from ritz.compute.document import Json
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.uncertainty.propagation.propagation import Propagation
from ritz.tasks.parsing.identity import document_hash
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.propagation.rungs import RungPlace, places
from ritz.tasks.propagation.worker import NETWORK, ModelRung


def of_pipeline(pipeline: Pipeline, model: str, dataset: str, identity: str) -> list[Question]:
    """Return the questions of a recipe about the population of its law, for the run that made a model.

    Parameters
    ----------
    model, dataset
        ``NAME@VERSION``.
    identity
        What fixed the model.
    """
    data = pipeline.data
    return [
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
        The question itself.
    model, dataset
        ``NAME@VERSION`` of a model whose predictions are a rung; empty for a recipe alone.
    identity_of_model
        What fixed it.
    surrogate
        What learnt it, where its class is not registered.
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

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the cluster that work on it: without a model no worker predicts."""
        return ("solve", "train") if self.model else ("solve",)

    def places(self, store: str) -> tuple[dict[str, RungPlace], dict[str, str]]:
        """Return the rungs by name, the truth first, and why others are none; the store is that of the model."""
        model = ModelRung(store, self.model, self.dataset, NETWORK, self.surrogate) if self.model else None
        return places(self.problem, self.rtol, self.asked.quantities, model, self.asked.rungs or ())

    @property
    def identity(self) -> str:
        """Hash of what fixes the answer, but for the time that there was."""
        return document_hash(
            {
                "problem": self.problem.model_dump(mode="json"),
                "rtol": self.rtol,
                "seed": self.seed,
                "asked": self.asked.model_dump(mode="json"),
                "model": self.identity_of_model,
            }
        )
