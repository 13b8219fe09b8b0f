"""Requests about populations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ritz.compute.cluster.profile import Profile
from ritz.compute.document import Json
from ritz.storage.wording import shown
from ritz.tasks.errors import RecipeError
from ritz.tasks.recipes import is_recipe, load
from ritz.tasks.requests.request import Request

if TYPE_CHECKING:
    from ritz.compute.uncertainty.propagation.propagation import Propagation
    from ritz.tasks.documents.propagation import PropagationRecord
    from ritz.tasks.propagation.question import Question


@dataclass(frozen=True)
class Propagate(Request["Question", "PropagationRecord"]):
    """Answer a question about the population of a law; done is the answer of an earlier time.

    Attributes
    ----------
    about
        A recipe that is shipped, the path of one, or else a model of the store, ``NAME[@VERSION]``.
    question
        As the YAML of a `ritz.compute.uncertainty.propagation.propagation.Propagation`.
    law
        Another law; see `ritz.tasks.propagation.question.Question.under`.
    seed
        Of the population; that of the dataset by default.
    """

    about: str
    question: Json
    law: str | Json | None = None
    seed: int | None = None
    overrides: Mapping[str, Any] | None = None

    def planned(self, store: str) -> Question:
        """Return the question with the problem that it is about."""
        from pydantic import TypeAdapter

        from ritz.compute.uncertainty.propagation.propagation import Propagation
        from ritz.storage.store import Store
        from ritz.tasks.parsing.validation import validated

        asked: Propagation = validated("propagate", TypeAdapter(Propagation), Propagation, dict(self.question))
        found = self._of_recipe(store, asked) if is_recipe(self.about) else self._of_model(store, asked)
        if self.law is not None and asked.law:
            raise RecipeError(
                f"--law is {shown(self.law)}, and the question has the law {asked.law}: expected one of them"
            )
        if law := self.law if self.law is not None else asked.law:
            found = found.under(law, Store(store), "--law")
        if self.seed is not None:
            if self.seed < 0:
                raise RecipeError(f"--seed is {self.seed}, expected 0 or more")
            found = replace(found, seed=self.seed)
        return found

    def finished(self, work: Question, store: str) -> PropagationRecord | None:
        """Return the answer that is kept."""
        from ritz.storage.store import Store
        from ritz.tasks.propagation import kept

        return kept.find(Store(store), work)

    def check(self, work: Question, store: str, profile: Profile) -> None:
        """See `Request.check`."""
        from ritz.storage.store import Store

        if reason := work.unfit():
            raise RecipeError(f"propagate {work.about}: {reason}")
        found, left_out = work.places(store)
        for name in work.asked.rungs or ():
            if name not in list(found)[1:]:
                why = f": {left_out[name]}" if name in left_out else ""
                raise RecipeError(f"--rung is {name!r}{why}, expected some of {list(found)[1:]}")
        Store(store).check_writable()
        profile.check(work.roles)

    def _of_model(self, store: str, asked: Propagation) -> Question:
        """Return the question about the population of a model's dataset."""
        from ritz.storage import models
        from ritz.storage.store import Store
        from ritz.tasks.documents import of_model
        from ritz.tasks.parsing.recorded_problem import problem_of
        from ritz.tasks.propagation.question import Question

        place = Store(store)
        if self.overrides:
            raise RecipeError(
                f"--set {next(iter(self.overrides))} with model {self.about!r}, expected a recipe: the problem is that "
                "of the model's dataset; --law changes its law"
            )
        version = models.resolve(place, self.about)
        card = of_model.card(place, version.spec)
        problem, data = problem_of(card.recipe), card.recipe["data"]
        if problem is None:
            kind = (card.recipe.get("problem") or {}).get("kind")
            raise RecipeError(
                f"propagate {version.spec}: its problem {kind!r} is not installed here, expected its package: samples "
                "are to be solved"
            )
        return Question(
            about=version.spec,
            problem=problem,
            rtol=float(data["rtol"]),
            seed=int(data["seed"]),
            changes={},
            asked=asked,
            model=version.spec,
            dataset=card.dataset.spec,
            identity_of_model=card.identity,
        )

    def _of_recipe(self, store: str, asked: Propagation) -> Question:
        from ritz.tasks.propagation.question import Question

        pipeline = load(self.about, dict(self.overrides or {}), stages=(), store_url=store)
        data = pipeline.data
        return Question(pipeline.name, pipeline.problem, data.rtol, data.seed, {}, asked)
