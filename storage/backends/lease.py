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
    from ritz.storage.backends.bucket import Bucket, Seen

log = logging.getLogger("ritz")

LEASE = 30.0
"""Seconds after which a lock whose holder no longer renews it may be taken over: so long a killed one blocks others."""

RENEWALS = 3
"""Renewals in that time; all but one may fail."""

POLL = 0.5
"""Seconds between two looks at a lock that another process holds."""

# What this process holds, by URL of the lock object.
_held: dict[str, _Lease] = {}

os.register_at_fork(after_in_child=_held.clear)


class _Lease:
    """A lock object that this process has written last, as its ETag says."""

    def __init__(self, bucket: Bucket, key: str, what: str) -> None:
        self.bucket, self.key, self.what = bucket, key, what
        self.ended = threading.Event()
        self._token, self._renewals = uuid4().hex, 0
        self._etag: str | None = None
        self._until = 0.0
        self._writing = threading.Lock()
        self._over = False

    def take(self, etag: str | None) -> bool:
        """Write the object, if it is still as it was; return whether it was."""
        with self._writing:
            return self._write(etag)

    def valid(self) -> bool:
        """Return whether no other process can have the lock: not within the lease, nor at a renewal after it."""
        return not self._over and (time.monotonic() < self._until or self.renew())

    def renew(self) -> bool:
        """Begin the lease anew; return whether the lock is still this process's."""
        with self._writing:
            if not self._over and not self._write(self._etag) and not self._rewrite():
                self._over = True
                log.warning("%s: another process took the lock over", self.what)
            return not self._over

    def keep(self) -> None:
        """Renew in time until the end."""
        while not self.ended.wait(LEASE / RENEWALS):
            try:
                if not self.renew():
                    return
            except StorageError as error:
                log.warning("%s: the lock is not renewed: %s", self.what, error)

    def give_back(self) -> None:
        """Leave an empty object, which anybody may take; one that another process took is left alone."""
        self.ended.set()
        with self._writing:
            if not self._over:
                # Whatever becomes of it, no renewal comes after.
                self._over = True
                self.bucket.put_if(self.key, b"", self._etag)

    def _write(self, etag: str | None) -> bool:
        started = time.monotonic()
        # The token and the count make every content, and so every ETag, one of its own.
        self._renewals += 1
        text = {"holder": this_process(), "lease": LEASE, "token": self._token, "renewals": self._renewals}
        written = self.bucket.put_if(self.key, json.dumps(text).encode(), etag)
        if written is None:
            return False
        self._etag, self._until = written, started + LEASE
        return True

    def _rewrite(self) -> bool:
        """Write it where an earlier write of this process, whose answer was lost, lies there."""
        seen = self.bucket.look(self.key)
        return seen is not None and self._token.encode() in seen.data and self._write(seen.etag)


def held(bucket: Bucket, key: str, ask: bool = False) -> bool:
    """Return whether this process holds the lock ``key`` of a bucket now; a lease that has run out is renewed.

    Parameters
    ----------
    ask
        Renew it in any case: a machine that slept may think too well of the time that has passed.

    Raises
    ------
    StorageError
        It has run out, and the bucket does not answer.
    """
    lease = _held.get(bucket.location(key))
    return lease is not None and (lease.renew() if ask else lease.valid())


@contextmanager
def leased(bucket: Bucket, key: str, what: str, wait: float = 0.0) -> Iterator[None]:
    """Hold a lock that is an object in a bucket: it says by whom it is held, and is written under a condition.

    A thread renews it; where that has not happened for the length of the lease, by the clock of the server, another
    process may take it over. So a holder that was cut off may no longer have it, without being told: ask `held`
    before each thing that the lock protects, and let that thing fail by itself if another process did it meanwhile.
    The object stays behind, empty.

    Parameters
    ----------
    bucket, key
        Which object.
    what
        What is locked, for the message: ``"dataset 'darcy'"``.
    wait
        Seconds to wait for another holder; 0 refuses at once.

    Raises
    ------
    Busy
        Another holder (also another thread or handle in this process) has the lock.
    StorageError
        The bucket cannot be read or written.
    """
    lease, place = _Lease(bucket, key, what), bucket.location(key)
    _acquire(lease, wait)
    _held[place] = lease
    threading.Thread(target=lease.keep, name=f"lease of {key}", daemon=True).start()
    try:
        yield
    finally:
        # In a forked child the lock is the parent's.
        if _held.pop(place, None) is not None:
            try:
                lease.give_back()
            except StorageError as error:
                # It ends by itself; what happened inside the block matters more.
                log.warning("%s: the lock stays for up to %g s: %s", what, LEASE, error)


def _acquire(lease: _Lease, wait: float) -> None:
    deadline, place = time.monotonic() + wait, lease.bucket.location(lease.key)
    while True:
        seen = lease.bucket.look(lease.key)
        named, free = ("another process", True) if seen is None else _read(place, seen)
        if free and lease.take(None if seen is None else seen.etag):
            return
        if not free and time.monotonic() >= deadline:
            raise Busy(
                f"{lease.what} is in use by {named}; wait until it has finished, or stop it "
                f"(after a kill it is free within {LEASE:g} s)"
            )
        # Where it was free and taken by somebody else meanwhile, the next look says by whom.
        time.sleep(0.05 if free else min(POLL, max(0.0, deadline - time.monotonic())))


def holder(bucket: Bucket, key: str) -> str | None:
    """Return who holds the lock ``key``, in words, None if nobody does.

    Raises
    ------
    StorageError
        The bucket cannot be read.
    """
    seen = bucket.look(key)
    named, free = (None, True) if seen is None else _read(bucket.location(key), seen)
    return None if free else named


def named(bucket: Bucket, key: str) -> str | None:
    """Return who took the lock ``key`` last and has not given it back; None if there is nobody.

    Raises
    ------
    StorageError
        The bucket cannot be read.
    """
    seen = bucket.look(key)
    return None if seen is None or not seen.data else _read(bucket.location(key), seen)[0]


def _read(place: str, seen: Seen) -> tuple[str, bool]:
    """Return who holds the lock that looks like this, and whether it may be taken."""
    if not seen.data:
        return "another process", True
    try:
        text = mapping(seen.data, place)
        # Both times of the server are cut to seconds.
        return str(text["holder"]), seen.age > float(text["lease"]) + 1
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{place}: is no lock; remove it") from error
