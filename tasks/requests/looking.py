"""Requests that look at what is published, and change nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ritz.compute.cluster.profile import Profile
from ritz.tasks.parsing.plain import RecipeDocument
from ritz.tasks.requests.request import Request

if TYPE_CHECKING:
    from ritz.tasks.auditing.claimed import Claim

SAMPLES = 256
"""Samples that an audit by equations looks at, unless it is asked for others."""


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


@dataclass(frozen=True)
class AuditAs(Request["Claim", None]):
    """Measure whether the samples of a version, ``NAME[@VERSION]``, solve the equations of a problem."""

    roles = ("solve",)
    dataset: str
    problem: RecipeDocument
    samples: int = SAMPLES

    @classmethod
    def read(cls, dataset: str, problem: str, samples: int) -> Self:
        """Read the problem; see `ritz.tasks.parsing.asked_problem.asked_problem`.

        Raises
        ------
        ritz.tasks.errors.RecipeError
            If it is none.
        """
        from ritz.tasks.parsing.asked_problem import asked_problem

        return cls(dataset, asked_problem(problem), samples)

    def planned(self, store: str) -> Claim:
        """Return the problem on the grid of the dataset, and the samples that are looked at."""
        from ritz.storage.store import Store
        from ritz.tasks.auditing.claimed import claimed

        return claimed(Store(store), self.dataset, self.problem, self.samples)

    def check(self, work: Claim, store: str, profile: Profile) -> None:
        """See `Request.check`."""
        del work, store
        profile.check(self.roles)
