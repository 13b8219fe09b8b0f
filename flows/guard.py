"""What stands before Prefect's own application in the servers that Ritz starts; loaded by their processes alone."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from prefect.server.api.server import create_app
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, PREFECT_SERVER_API_AUTH_STRING
from sqlalchemy.engine import make_url
from starlette.middleware.trustedhost import TrustedHostMiddleware

from ritz.compute.cluster.silence import silence
from ritz.flows import key as keys
from ritz.flows.api import PROOF

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HOSTS = ("127.0.0.1", "localhost")
"""Names by which the server is asked; a page whose own name is made to point here says another one."""

CLOSED = ("/docs", "/redoc", "/openapi.json")
"""Pages that describe the server to those who have no key."""


def guarded_app(news: Callable[[str], None]) -> App:
    """Return Prefect's application, asked by the right names alone; ``news`` hears how its start ended."""
    return TrustedHostMiddleware(_Guard(create_app(), news), allowed_hosts=list(HOSTS))


class _Guard:
    def __init__(self, app: App, news: Callable[[str], None]) -> None:
        self.app, self.news = app, news

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == PROOF:
            key = PREFECT_SERVER_API_AUTH_STRING.value()
            nonce = scope["query_string"][:64].decode("latin-1")
            await _answer(send, 200, keys.proof(str(key), scope["server"][1], nonce))
        elif scope["type"] == "http" and scope["path"].startswith(CLOSED):
            await _answer(send, 404, "Not Found")
        else:
            await self.app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Scope) -> None:
            if message["type"] == "lifespan.startup.complete":
                _follow_database()
                self.news("")
            await send(message)

        async def received() -> Scope:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                # Services of Prefect's that have hardly begun do not know how to end.
                silence()
            return message

        try:
            await self.app(scope, received, sent)
        except Exception as error:
            # The cause is in the first line; what follows is SQL, or where to read about it.
            self.news(str(getattr(error, "orig", None) or error).partition("\n")[0] + _file())
            raise


async def _answer(send: Send, code: int, text: str) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _database() -> Path | None:
    """Return the file of the database, None where it is none."""
    url = make_url(str(PREFECT_API_DATABASE_CONNECTION_URL.value()))
    in_file = url.get_backend_name() == "sqlite" and url.database and not url.database.startswith((":", "file:"))
    return Path(str(url.database)) if in_file else None


def _file() -> str:
    return f"; its database is {file}" if (file := _database()) else ""


def _follow_database() -> None:
    """Leave when the file of the database is another one or none: SQLite would go on with one that nobody sees."""
    file = _database()
    if file is None:
        return
    first = file.stat().st_ino

    def follow() -> None:
        while True:
            time.sleep(1)
            try:
                same = file.stat().st_ino == first
            except FileNotFoundError:
                same = False
            if not same:
                os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
