from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from ritz.storage.backends.lock import this_process
from ritz.storage.documents import mapping
from ritz.storage.errors import Busy, StorageError

if TYPE_CHECKING:
    from ritz.storage.backends.bucket import Bucket, ObjectState

log = logging.getLogger("ritz")

LEASE = 30.0
"""Seconds without a renewal before another process may take the lock over, e.g. that of a killed holder."""

RENEWALS = 3
"""Renewals per `LEASE`; all but one may fail."""

POLL = 0.5
"""Seconds between two requests for a lock that another process holds."""

# Leases of this process, by URL of the lock object.
_held: dict[str, _Lease] = {}

os.register_at_fork(after_in_child=_held.clear)


class _Lease:
    """A lock object whose last writer, by its ETag, is this process."""

    def __init__(self, bucket: Bucket, key: str, what: str) -> None:
        self.bucket, self.key, self.what = bucket, key, what
        self.ended = threading.Event()
        self._token, self._renewals = uuid4().hex, 0
        self._etag: str | None = None
        self._until = 0.0
        self._writing = threading.Lock()
        self._over = False

    def acquire(self, etag: str | None) -> bool:
        """Write the object, if it is still as it was; return whether it was."""
        with self._writing:
            return self._write(etag)

    def valid(self) -> bool:
        """Return whether no other process can have the lock: not within the lease, nor at a renewal after it."""
        return not self._over and (time.monotonic() < self._until or self.renew())

    def renew(self) -> bool:
        """Renew the lease; return whether this process still holds the lock."""
        with self._writing:
            if not self._over and not self._write(self._etag) and not self._rewrite():
                self._over = True
                log.warning("%s: another process took the lock over", self.what)
            return not self._over

    def keep_renewed(self) -> None:
        """Renew the lease in time until it is released."""
        while not self.ended.wait(LEASE / RENEWALS):
            try:
                if not self.renew():
                    return
            except StorageError as error:
                log.warning("%s: the lock is not renewed: %s", self.what, error)

    def release(self) -> None:
        """Empty the object, so that any process may acquire the lock; do nothing if another process took it over."""
        self.ended.set()
        with self._writing:
            if not self._over:
                # No renewal may follow, even if this write fails.
                self._over = True
                self.bucket.put_if(self.key, b"", self._etag)

    def _write(self, etag: str | None) -> bool:
        started = time.monotonic()
        # The token and the count make every content, and so every ETag, unique.
        self._renewals += 1
        text = {"holder": this_process(), "lease": LEASE, "token": self._token, "renewals": self._renewals}
        written = self.bucket.put_if(self.key, json.dumps(text).encode(), etag)
        if written is None:
            return False
        self._etag, self._until = written, started + LEASE
        return True

    def _rewrite(self) -> bool:
        """Write again after an earlier write of this process whose answer was lost."""
        state = self.bucket.state(self.key)
        return state is not None and self._token.encode() in state.data and self._write(state.etag)


def held(bucket: Bucket, key: str, ask: bool = False) -> bool:
    """Return whether this process holds the lock ``key`` of a bucket now; a lease that has run out is renewed.

    Parameters
    ----------
    ask
        Renew it in any case: the clock of a machine that slept may have missed time.

    Raises
    ------
    StorageError
        The lease has expired, and the bucket does not answer.
    """
    lease = _held.get(bucket.location(key))
    return lease is not None and (lease.renew() if ask else lease.valid())


@contextmanager
def leased(bucket: Bucket, key: str, what: str, wait: float = 0.0) -> Iterator[None]:
    """Hold a lock that is an object in a bucket: it names its holder, and is written conditionally.

    A thread renews it; after the length of the lease without a renewal, by the clock of the server, another process may
    take it over. A holder without a connection may thus lose the lock without notice: call `held` before each operation
    that the lock protects, and let the operation fail by itself if another process did it first. The object stays,
    empty.

    Parameters
    ----------
    bucket, key
        Which object.
    what
        Name of the locked thing, for the message: ``"dataset 'darcy'"``.
    wait
        Seconds to wait for another holder; 0 refuses at once.

    Raises
    ------
    Busy
        Another holder (also another thread or handle in this process) has the lock.
    StorageError
        The bucket cannot be read or written.
    """
    lease, location = _Lease(bucket, key, what), bucket.location(key)
    _acquire(lease, wait)
    _held[location] = lease
    threading.Thread(target=lease.keep_renewed, name=f"lease of {key}", daemon=True).start()
    try:
        yield
    finally:
        # In a forked child the lock is the parent's.
        if _held.pop(location, None) is not None:
            try:
                lease.release()
            except StorageError as error:
                # The lease expires by itself; an error of the block matters more.
                log.warning("%s: the lock stays for up to %g s: %s", what, LEASE, error)


def _acquire(lease: _Lease, wait: float) -> None:
    deadline, location = time.monotonic() + wait, lease.bucket.location(lease.key)
    while True:
        state = lease.bucket.state(lease.key)
        named, free = ("another process", True) if state is None else _read(location, state)
        if free and lease.acquire(None if state is None else state.etag):
            return
        if not free and time.monotonic() >= deadline:
            raise Busy(
                f"{lease.what} is in use by {named}; wait until it has finished, or stop it "
                f"(after a kill it is free within {LEASE:g} s)"
            )
        # If another process acquired the free lock first, the next request names it.
        time.sleep(0.05 if free else min(POLL, max(0.0, deadline - time.monotonic())))


def holder(bucket: Bucket, key: str) -> str | None:
    """Return the holder of the lock ``key``, in words, None if the lock is free.

    Raises
    ------
    StorageError
        The bucket cannot be read.
    """
    state = bucket.state(key)
    named, free = (None, True) if state is None else _read(bucket.location(key), state)
    return None if free else named


def last_holder(bucket: Bucket, key: str) -> str | None:
    """Return the last holder of the lock ``key`` that has not released it, None without one.

    Raises
    ------
    StorageError
        The bucket cannot be read.
    """
    state = bucket.state(key)
    return None if state is None or not state.data else _read(bucket.location(key), state)[0]


def _read(location: str, state: ObjectState) -> tuple[str, bool]:
    """Return the holder named in the state of a lock, and whether the lock may be acquired."""
    if not state.data:
        return "another process", True
    try:
        text = mapping(state.data, location)
        # Both times of the server are cut to seconds.
        return str(text["holder"]), state.age > float(text["lease"]) + 1
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{location}: is no lock; remove it") from error
