from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from ritz.compute.cluster.presence import ROLES
from ritz.compute.cluster.profile import Profile

Work = TypeVar("Work")
Done = TypeVar("Done")


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
