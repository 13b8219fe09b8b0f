from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ritz.storage.backends.lock import this_process
from ritz.storage.errors import Refused
from ritz.storage.store import Store


@dataclass(frozen=True)
class Fence:
    """A lock that a driver holds, for workers that write what it protects.

    A driver that was cut off may have lost it, and its workers go on: what they wrote would mix with what the workers
    of its next holder write.

    Attributes
    ----------
    key, holder
        Which lock, and how its holder is called.
    """

    key: str
    holder: str

    @classmethod
    def of(cls, store: Store, keys: Iterable[str]) -> Fence | None:
        """Return the first of these locks that this process holds, None if it holds none."""
        return next((cls(key, this_process()) for key in keys if store.holds(key)), None)

    def check(self, store: Store) -> None:
        """Refuse to write if the lock is not the driver's any more.

        Raises
        ------
        ritz.storage.errors.Refused
            Another process took it, or the driver gave it back.
        """
        if not store.held_by(self.key, self.holder):
            raise Refused(
                f"{store.location(self.key)}: {self.holder}, which drives this training, does not hold this lock any "
                "more; the training stops here and writes nothing"
            )
