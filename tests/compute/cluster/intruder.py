"""What another user of the machine tries at the ports of a run: ``python intruder.py PORT...``, begun as root.

Prints, as JSON, what each port gave away.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from contextlib import suppress
from typing import Any

from distributed import Security, rpc

NOBODY = 65534

PATHS = ("/", "/health", "/metrics", "/sitemap.json", "/json/counts.json", "/info/main/workers.html", "/status")


def asked(port: int, scheme: str, arguments: dict[str, Any]) -> str:
    """Return what the process is that answers as Dask's own do: it would run code for whoever asks so."""

    async def ask() -> str:
        async with rpc(f"{scheme}://127.0.0.1:{port}", timeout=2, connection_args=arguments) as server:
            return str((await asyncio.wait_for(server.identity(), 2))["type"])

    with suppress(OSError):
        return asyncio.run(ask())
    return ""


def pages(port: int) -> list[str]:
    """Return the pages that are there."""
    got = []
    for path in PATHS:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as call:
            call.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            said = call.recv(64)
            if said.startswith(b"HTTP") and said.split(b" ")[1] != b"404":
                got.append(path)
    return got


def heard(port: int) -> str:
    """Return what one hears who says nothing."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5) as call:
        return call.recv(64).hex()
    return ""


def tried(port: int, security: Security) -> dict[str, Any]:
    """Return what a port gave away."""
    plain = asked(port, "tcp", {})
    got = {
        "tcp": plain,
        # What answers to anybody is not called in a way that it does not understand.
        "tls": "" if plain else asked(port, "tls", security.get_connection_args("client")),
        "pages": [] if plain else pages(port),
        "heard": heard(port),
    }
    return {how: what for how, what in got.items() if what}


if __name__ == "__main__":
    stranger = Security.temporary()
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    os.chdir("/")
    found = {port: tried(port, stranger) for port in map(int, sys.argv[1:])}
    print(json.dumps({"uid": os.getuid(), "found": found}))
