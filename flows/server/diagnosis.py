"""Whether Prefect's server can be used or started, and which ports are free."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from importlib.metadata import version

from ritz.flows.server.api import ServerError, check, local_url, own_key
from ritz.flows.server.api import version as version_of
from ritz.flows.settings import AUTH, URL, setting
from ritz.tasks.doctor.finding import Finding


def prefect(port: int) -> Iterator[Finding]:
    """Look whether the configured server, or this user's own at a port, can be used; start none."""
    configured, ours = setting(URL), version("prefect")
    try:
        if configured:
            url, needed = configured.rstrip("/"), check(configured)
        elif key := own_key(port):
            url, needed = local_url(port), {AUTH: key}
        else:
            said = f"Prefect {ours}; no server stands, and each command starts one for itself"
            yield Finding(subject="prefect", state="ok", said=said)
            return
        theirs = version_of(url, needed.get(AUTH))
    except ServerError as error:
        todo = f"correct {URL} and {AUTH}, or unset both: a command starts a server for itself then"
        yield Finding(subject="prefect", state="fail" if configured else "warn", said=str(error), todo=todo)
        return
    said = f"Prefect {ours}; the server at {url} answers, version {theirs or 'not told'}"
    if theirs and theirs.split(".")[:2] != ours.split(".")[:2]:
        todo = "install the same minor version on both sides"
        yield Finding(subject="prefect", state="warn", said=said, todo=todo)
    else:
        yield Finding(subject="prefect", state="ok", said=said)


def ports(port: int) -> Iterator[Finding]:
    """Look whether servers can listen on the loopback interface, and whether the port of `ritz serve` is free."""
    try:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
    except OSError as error:
        said = f"nothing can listen at 127.0.0.1 ({error.strerror})"
        yield Finding(subject="ports", state="fail", said=said, todo="servers and workers need the loopback interface")
        return
    try:
        with socket.socket() as wanted:
            wanted.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            wanted.bind(("127.0.0.1", port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _is_own(port):
            yield Finding(subject="ports", state="ok", said=f"port {port} is that of your own `ritz serve`")
            return
        said = f"port {port} cannot be listened at ({error.strerror})"
        yield Finding(subject="ports", state="warn", said=said, todo="start `ritz serve` with another --port")
        return
    yield Finding(subject="ports", state="ok", said=f"127.0.0.1 and its port {port} are free")


def _is_own(port: int) -> bool:
    try:
        return own_key(port) is not None
    except ServerError:
        return False
