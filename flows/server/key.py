"""The keys of the servers that `ritz serve` starts, each in a file that its owner alone can read."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ritz.compute.cluster.own_folder import make_own, own_folder


def made() -> str:
    """Return a new key, ``user:password`` as Prefect takes it."""
    return f"ritz:{secrets.token_urlsafe(32)}"


def proof(key: str, port: int, nonce: str) -> str:
    """Return what a server at a port answers to a question, which only one that has the key can know.

    A client asks before it gives its key away: anybody may take a port that is free. The port is part of the answer,
    so that nobody can get it from a server at another one.
    """
    return hmac.new(key.encode(), f"{port}/{nonce}".encode(), hashlib.sha256).hexdigest()


def path(port: int) -> Path:
    """Return where the key of a server at a port is kept: the same for all commands, whatever Prefect's home is."""
    return next((place for place in _places(port) if place.exists()), next(_places(port)))


def read(port: int) -> str | None:
    """Return the key of the server at a port, None where this user has started none."""
    for place in _places(port):
        with suppress(OSError):
            descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, encoding="utf-8") as file:
                found = os.fstat(descriptor)
                # What another user could have written there is no key of ours.
                if found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077:
                    return file.read().strip()
    return None


@contextmanager
def kept(port: int, key: str) -> Iterator[Path]:
    """Keep the key of the server at a port in its file meanwhile.

    Raises
    ------
    OSError
        If it can be kept nowhere.
    """
    folder = _folder(port)
    place = folder / _name(port)
    draft = folder / f".{_name(port)}-{os.getpid()}"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(key + "\n")
    draft.replace(place)
    try:
        yield place
    finally:
        if read(port) == key:
            place.unlink(missing_ok=True)


def _folder(port: int) -> Path:
    """Return the first of the places that can be made, and written by this user alone."""
    problem: OSError | None = None
    for place in _places(port):
        folder = place.parent
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            if not make_own(folder):
                raise PermissionError(13, "is no folder of this user's own", str(folder))
            folder.chmod(0o700)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _places(port: int) -> Iterator[Path]:
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    with suppress(RuntimeError):
        yield Path(state).expanduser() / "ritz" / _name(port)
    # Where there is no home that can be written.
    yield own_folder(tempfile.gettempdir()) / _name(port)


def _name(port: int) -> str:
    return f"server-{port}.key"
