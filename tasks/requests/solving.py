"""Requests that solve: runs, datasets, comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ritz.compute.cluster.profile import Profile
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.recipes import load
from ritz.tasks.requests.request import Request

# A recipe that is refused waits for no more than it takes to read: the rest is imported where it is used.
if TYPE_CHECKING:
    from ritz.tasks.comparison.comparison_record import ComparisonRecord
    from ritz.tasks.comparison.plan import Contest
    from ritz.tasks.documents.run import FinishedRun
    from ritz.tasks.generation.result import Generated


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

        return planned(self.pipeline, store, lambda pipeline: self.finished(pipeline, store) is not None)

    def finished(self, work: Pipeline, store: str) -> FinishedRun | None:
        """Return the record, whatever the model was judged by."""
        from ritz.storage.store import Store
        from ritz.tasks.documents.records import find_outcome

        return find_outcome(Store(store), work)

    def check(self, work: Pipeline, store: str, profile: Profile) -> None:
        """See `Request.check`."""
        from ritz.tasks.checks import check_populations

        _check_solving(work, store, profile, self.roles, trains=True)
        check_populations(work, store)


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


def _check_solving(pipeline: Pipeline, store: str, profile: Profile, roles: Sequence[str], *, trains: bool) -> None:
    """Check the cluster, the recipe beside the store, and the room for its samples."""
    from ritz.tasks.checks import check_run
    from ritz.tasks.generation.room import check_room

    profile.check(roles)
    check_run(pipeline, store, trains=trains)
    check_room(pipeline, store, profile.limits(), trains=trains)
