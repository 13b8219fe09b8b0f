"""Requests about models on published datasets: train, measure, train again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ritz.compute.cluster.profile import Profile
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.recipes import load
from ritz.tasks.requests.request import Request

if TYPE_CHECKING:
    from ritz.compute.evaluation.metric import SubjectMetric
    from ritz.compute.uncertainty.uncertainty import Uncertainty
    from ritz.storage.datasets import Dataset
    from ritz.storage.models import StoredModel
    from ritz.storage.versions import Version


@dataclass(frozen=True)
class OfflineFit:
    """What is learnt offline: a recipe's surrogate, on a published dataset that may come from anybody's recipe."""

    pipeline: Pipeline
    dataset: Version
    data: Dataset
    """The dataset at this version."""
    samples: int
    """Of its train split."""


@dataclass(frozen=True)
class Train(Request[OfflineFit, None]):
    """Train the surrogate of a recipe offline on a published dataset, ``NAME[@VERSION]``."""

    roles = ("train",)
    pipeline: Pipeline
    dataset: str

    @classmethod
    def read(cls, recipe: str, overrides: Mapping[str, Any] | None, store: str, dataset: str) -> Self:
        """Read the recipe; see `ritz.tasks.recipes.load`."""
        return cls(load(recipe, overrides, stages=(), store_url=store), dataset)

    def planned(self, store: str) -> OfflineFit:
        """Return what is learnt, and on which version."""
        import numpy as np

        from ritz.storage.datasets import Dataset
        from ritz.storage.names import split_spec
        from ritz.storage.store import Store

        name, version = split_spec("dataset", self.dataset)
        data = Dataset.open(Store(store), name).at(version)
        assert data.version is not None
        return OfflineFit(self.pipeline, data.version, data, int(np.count_nonzero(data.index()[1] == "train")))

    def check(self, work: OfflineFit, store: str, profile: Profile) -> None:
        """See `Request.check`."""
        del store
        from ritz.tasks.checks import check_training

        check_training(work)
        profile.check(self.roles)


@dataclass(frozen=True)
class Measurement:
    """Which model is measured on which dataset, and by what: as the recipe says that made the model."""

    model: StoredModel
    dataset: Version
    metrics: tuple[SubjectMetric, ...]
    uncertainty: Uncertainty


@dataclass(frozen=True)
class _Measure(Request[Measurement, None]):
    roles = ("train",)
    splits: ClassVar[tuple[str, ...]]
    """Of which the dataset must have samples."""
    model: str
    dataset: str

    def planned(self, store: str) -> Measurement:
        """Return which versions the names mean."""
        from ritz.compute.evaluation.catalogue import metrics
        from ritz.compute.uncertainty.catalogue import uncertainty
        from ritz.storage import models
        from ritz.storage.reading import resolve
        from ritz.storage.store import Store
        from ritz.tasks.documents import of_model

        place = Store(store)
        model = models.resolve(place, self.model)
        recipe = of_model.card(place, model.spec).recipe
        measures = metrics(recipe.get("evaluation")), uncertainty(recipe["uncertainty"])
        return Measurement(model, resolve(place, self.dataset), *measures)

    def check(self, work: Measurement, store: str, profile: Profile) -> None:
        """See `Request.check`."""
        from ritz.tasks.checks import check_measuring

        check_measuring(store, self.model, work.dataset, self.splits)
        profile.check(self.roles)


@dataclass(frozen=True)
class Evaluate(_Measure):
    """Measure a model, the baselines and their costs on the test split of a dataset; both as ``NAME[@VERSION]``."""

    splits = ("train", "test")


@dataclass(frozen=True)
class Quantify(_Measure):
    """Calibrate bands for a model on a dataset and measure their coverage; both as ``NAME[@VERSION]``."""

    splits = ("validate", "calibrate", "test")


@dataclass(frozen=True)
class Replay(Request[str, None]):
    """Do the training of a run, or of a model with its version, again; the work is the model, ``NAME@VERSION``."""

    roles = ("train",)
    run: str

    def planned(self, store: str) -> str:
        """Return the model."""
        from ritz.tasks.checks import check_replay

        return check_replay(store, self.run)

    def check(self, work: str, store: str, profile: Profile) -> None:
        """See `Request.check`."""
        del work, store
        profile.check(self.roles)
