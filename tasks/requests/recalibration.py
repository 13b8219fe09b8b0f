"""Requests about error bars on laws other than that of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ritz.compute.cluster.profile import Profile
from ritz.compute.document import Json
from ritz.tasks.errors import RecipeError
from ritz.tasks.requests.request import Request

if TYPE_CHECKING:
    from ritz.compute.uncertainty.uncertainty import Uncertainty
    from ritz.storage.models import StoredModel
    from ritz.storage.versions import Version
    from ritz.tasks.parsing.asked_law import AskedLaw

SOLVES = 50
"""Usual number of fresh solves."""

MOST = 10_000
"""Largest number of them: they are held in memory."""


@dataclass(frozen=True)
class LawMeasurement:
    """For which law bands of a model are calibrated, on changes of which dataset's problem, and how."""

    model: StoredModel
    dataset: Version
    uncertainty: Uncertainty
    law: AskedLaw


@dataclass(frozen=True)
class Recalibrate(Request[LawMeasurement, None]):
    """Calibrate bands for a model on fresh solves of another law; model and dataset as ``NAME[@VERSION]``."""

    roles = ("train",)
    model: str
    dataset: str
    law: str | Json
    solves: int = SOLVES
    name: str | None = None

    def planned(self, store: str) -> LawMeasurement:
        """Return which versions the names mean, and the law."""
        from ritz.compute.uncertainty.catalogue import uncertainty
        from ritz.storage import models
        from ritz.storage.datasets import Dataset
        from ritz.storage.reading import resolve
        from ritz.storage.store import Store
        from ritz.storage.wording import shown
        from ritz.tasks.documents import of_model
        from ritz.tasks.parsing.asked_law import asked_law
        from ritz.tasks.parsing.recorded_problem import problem_of

        place = Store(store)
        model, dataset = models.resolve(place, self.model), resolve(place, self.dataset)
        method = uncertainty(of_model.card(place, model.spec).recipe["uncertainty"])
        recipe = Dataset.open(place, dataset.name).at(dataset.version).recipe
        problem = problem_of(recipe)
        if problem is None:
            kind = (recipe.get("problem") or {}).get("kind")
            raise RecipeError(
                f"--law: the problem {shown(str(kind))} of dataset {dataset.spec} is not installed here, expected its "
                "package: samples of the law are to be solved"
            )
        if reason := problem.unsolvable():
            raise RecipeError(f"--law: dataset {dataset.spec} has no law of which samples can be solved: {reason}")
        law = asked_law(self.law, problem, method.other_laws(), self.name)
        return LawMeasurement(model, dataset, method, law)

    def check(self, work: LawMeasurement, store: str, profile: Profile) -> None:
        """See `Request.check`."""
        from ritz.storage.store import Store
        from ritz.tasks.checks import check_measuring
        from ritz.tasks.documents.law_calibration import laws

        needs = work.uncertainty.needs()
        if "calibrate" not in needs:
            raise RecipeError(
                f"--law: the recipe of model {work.model.spec} has uncertainty.kind {work.uncertainty.kind!r}, "
                "expected one that calibrates error bars"
            )
        need = needs["calibrate"]
        if not need.least <= self.solves <= MOST:
            raise RecipeError(f"--solves is {self.solves}, expected {need.least} to {MOST}: {need.reason}")
        check_measuring(store, self.model, work.dataset, ("validate",))
        kept = laws(Store(store), work.model.spec).get(work.law.name)
        if kept is not None and kept.changes != work.law.changes:
            raise RecipeError(
                f"--name: model {work.model.spec} has bands of the name {work.law.name!r} for the law "
                f"{dict(kept.changes)}, expected another name for {dict(work.law.changes)}"
            )
        profile.check(self.roles)
