"""Requests that look at what is published, and change nothing."""

from __future__ import annotations

from dataclasses import dataclass

from ritz.compute.cluster.profile import Profile
from ritz.tasks.requests.request import Request


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
