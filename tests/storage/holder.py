from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ritz.storage.store import Store


@contextmanager
def held(store: Store, key: str) -> Iterator[threading.Event]:
    """Hold a lock in a thread of its own until the event that is given is set."""
    entered, release = threading.Event(), threading.Event()

    def hold() -> None:
        with store.lock(key, "it"):
            entered.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert entered.wait(30)
    try:
        yield release
    finally:
        release.set()
        thread.join()
