"""What every command and every flow does first: plan what is asked for, look what is finished, refuse bad input.

A request is one of the small classes below: what is asked for, read. `prepare` does the rest, in one way for the
command line, for a flow that is called and for one that is served.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from ritz.compute.cluster.presence import ROLES
from ritz.compute.cluster.profile import Profile
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.recipes import load, load_profile

# A recipe that is refused waits for no more than it takes to read: the rest is imported where it is used.
if TYPE_CHECKING:
    from ritz.compute.evaluation.metric import Metric
    from ritz.compute.uncertainty.uncertainty import Uncertainty
    from ritz.storage.models import ModelVersion
    from ritz.storage.versions import Version
    from ritz.tasks.comparison.comparison_record import ComparisonRecord
    from ritz.tasks.comparison.plan import Contest
    from ritz.tasks.documents.run import FinishedRun
    from ritz.tasks.generation.result import Generated

AHEAD = ("ritz.tasks.generation.worker", "numba", "pandas", "xarray", "scipy.interpolate", "scipy.sparse.linalg")
"""Modules that the workers of this machine load while a server starts. They start no thread, and PyTorch is not among
them, which solvers have no use for.
"""

Work = TypeVar("Work")
Done = TypeVar("Done")


@dataclass(frozen=True)
class Prepared(Generic[Work, Done]):
    """A request that can be worked on, or what has been made of it before.

    Attributes
    ----------
    work
        What is to be done: the pipeline with the samples that it is about now, the versions that names mean.
    store
        URL that means the same store in every process.
    profile
        On what to compute.
    done
        What an earlier run came to that did all of this; None where there is something to do, and then all is checked.
    new_store
        In words that a store will be made, which may be one that was mistyped; empty where it is there.
    """

    work: Work
    store: str
    profile: Profile
    done: Done | None
    new_store: str


class Request(ABC, Generic[Work, Done]):
    """What is asked for: read, and not yet held against the store."""

    roles: ClassVar[Sequence[str]] = ROLES
    """The roles of the cluster that work on it."""

    @abstractmethod
    def planned(self, store: str) -> Work:
        """Return what is to be done in the store with this URL."""

    def finished(self, work: Work, store: str) -> Done | None:
        """Return what was made of it before, None where something is left to do."""
        del work, store
        return None

    @abstractmethod
    def check(self, work: Work, store: str, profile: Profile) -> None:
        """Raise what the work would raise; nothing is started, and nothing is written."""


def prepare(
    request: Request[Work, Done], store: str, profile: str | Profile, begin: Callable[[], None] = lambda: None
) -> Prepared[Work, Done]:
    """Read the profile, plan, look for what is finished, and check; refuse bad input before any work.

    Workers of this machine begin to load what they need once all is checked.

    Parameters
    ----------
    request
        What is asked for.
    store
        Folder or URL of the store of datasets, models and runs.
    profile
        On what to compute, or the name or path of that.
    begin
        Is called once there is something to do, before the checks, which may take a while.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        If there is no such profile, or what is asked for makes no sense.
    ritz.storage.errors.StorageError
        If the store cannot be used, or what is in it does not go with what is asked for.
    ritz.compute.cluster.errors.ClusterError
        If the profile's cluster does not answer, or lacks what is needed.
    """
    place = load_profile(profile) if isinstance(profile, str) else profile
    from ritz.storage.store import Store

    url = Store(store).url
    work = request.planned(url)
    done = request.finished(work, url)
    new = ""
    if done is None:
        begin()
        new = _new(url)
        request.check(work, url, place)
        place.ahead(AHEAD)
    return Prepared(work, url, place, done, new)


def _new(store: str) -> str:
    from ritz.storage.store import Store

    nothing = Store(store).nothing()
    mistyped = nothing.partition("; did you mean")
    return f"new store {store}{''.join(mistyped[1:])}" if nothing else ""


@dataclass(frozen=True)
class Run(Request[Pipeline, "FinishedRun"]):
    """Generate, train, evaluate, quantify and publish; done is the record of the run that did."""

    pipeline: Pipeline

    @classmethod
    def read(cls, recipe: str, overrides: Mapping[str, Any] | None, store: str) -> Self:
        """Read the recipe; see `ritz.tasks.recipes.load`."""
        return cls(load(recipe, overrides, store_url=store))

    def planned(self, store: str) -> Pipeline:
        """Return the pipeline with the samples that it is about now."""
        from ritz.tasks.generation.growth import planned
        from ritz.tasks.views.lists import finished

        return planned(self.pipeline, store, lambda pipeline: finished(pipeline, store) is not None)

    def finished(self, work: Pipeline, store: str) -> FinishedRun | None:
        """Return the record, whatever the model was judged by."""
        from ritz.tasks.views.lists import finished

        return finished(work, store)

    def check(self, work: Pipeline, store: str, profile: Profile) -> None:
        """See `Request.check`."""
        _check_solving(work, store, profile, self.roles, trains=True)


@dataclass(frozen=True)
class Generate(Request[Pipeline, "Generated"]):
    """Solve and publish the dataset of a recipe; done is the version that has all samples."""

    roles = ("solve",)
    pipeline: Pipeline

    @classmethod
    def read(cls, recipe: str, overrides: Mapping[str, Any] | None, store: str) -> Self:
        """Read the recipe; see `ritz.tasks.recipes.load`."""
        return cls(load(recipe, overrides, stages=(), store_url=store))

    def planned(self, store: str) -> Pipeline:
        """Return the pipeline with the samples that it is about now."""
        from ritz.tasks.generation.growth import planned, published

        return planned(self.pipeline, store, lambda pipeline: published(pipeline, store))

    def finished(self, work: Pipeline, store: str) -> Generated | None:
        """Return what generating would, where every sample is solved and published."""
        from ritz.tasks.generation.result import complete

        return complete(work, store)

    def check(self, work: Pipeline, store: str, profile: Profile) -> None:
        """See `Request.check`."""
        _check_solving(work, store, profile, self.roles, trains=False)


@dataclass(frozen=True)
class OfflineFit:
    """What is learnt offline: a recipe's surrogate, on a published dataset that may come from anybody's recipe."""

    pipeline: Pipeline
    dataset: Version
    shards: int
    """Of the dataset."""
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
        from ritz.storage.reading import resolve
        from ritz.storage.store import Store

        version = resolve(Store(store), self.dataset)
        data = Dataset.open(Store(store), version.name).at(version.version)
        return OfflineFit(self.pipeline, version, data.n_shards, int(np.count_nonzero(data.index()[1] == "train")))

    def check(self, work: OfflineFit, store: str, profile: Profile) -> None:
        """See `Request.check`."""
        from ritz.tasks.checks import check_training

        check_training(work.pipeline, store, work.dataset.spec)
        profile.check(self.roles)


@dataclass(frozen=True)
class Measurement:
    """Which model is measured on which dataset, and by what: as the recipe says that made the model."""

    model: ModelVersion
    dataset: Version
    metrics: tuple[Metric, ...]
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

        check_measuring(store, self.model, work.dataset.spec, self.splits)
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
class Compare(Request["Contest", "ComparisonRecord"]):
    """Train the surrogate of a recipe online and offline over seeds; done is the record of the comparison."""

    pipeline: Pipeline
    seeds: int
    samples: int | None
    epochs: float | None
    fresh: int

    @classmethod
    def read(
        cls,
        recipe: str,
        overrides: Mapping[str, Any] | None,
        store: str,
        *,
        seeds: int,
        samples: int | None,
        epochs: float | None,
        fresh: int,
    ) -> Self:
        """Read the recipe; see `ritz.tasks.recipes.load`."""
        return cls(load(recipe, overrides, stages=(), store_url=store), seeds, samples, epochs, fresh)

    def planned(self, store: str) -> Contest:
        """Return what is compared."""
        from ritz.tasks.comparison.plan import contest

        del store
        return contest(self.pipeline, seeds=self.seeds, samples=self.samples, epochs=self.epochs, fresh=self.fresh)

    def finished(self, work: Contest, store: str) -> ComparisonRecord | None:
        """Return the record of a comparison with these seeds."""
        from ritz.tasks.comparison.plan import finished

        return finished(work, store)

    def check(self, work: Contest, store: str, profile: Profile) -> None:
        """See `Request.check`."""
        _check_solving(work.pipeline, store, profile, self.roles, trains=True)


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


@dataclass(frozen=True)
class Audit(Request[str, None]):
    """Look for anything in a version of a dataset that is not as it must be; the work is ``NAME[@VERSION]``."""

    roles = ("solve",)
    dataset: str

    def planned(self, store: str) -> str:
        """Return the dataset."""
        del store
        return self.dataset

    def check(self, work: str, store: str, profile: Profile) -> None:
        """See `Request.check`."""
        from ritz.tasks.checks import check_audit

        check_audit(store, work)
        profile.check(self.roles)


@dataclass(frozen=True)
class Regenerate(Request[str, None]):
    """Make one sample of a version again; the work is the dataset, ``NAME[@VERSION]``."""

    roles = ("solve",)
    dataset: str
    sample: int

    def planned(self, store: str) -> str:
        """Return the dataset."""
        del store
        return self.dataset

    def check(self, work: str, store: str, profile: Profile) -> None:
        """See `Request.check`."""
        from ritz.tasks.auditing.version import sample_of

        sample_of(store, work, self.sample)
        profile.check(self.roles)


def _check_solving(pipeline: Pipeline, store: str, profile: Profile, roles: Sequence[str], *, trains: bool) -> None:
    """Check the cluster, the recipe beside the store, and the room for its samples."""
    from ritz.tasks.checks import check_run
    from ritz.tasks.generation.room import check_room

    profile.check(roles)
    check_run(pipeline, store, trains=trains)
    check_room(pipeline, store, profile.limits(), trains=trains)
