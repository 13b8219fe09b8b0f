"""What answers at the URL of a Prefect API."""

from __future__ import annotations

import base64
import json
import secrets
from contextlib import suppress
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException
from typing import IO, Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from ritz.flows.server import key as keys
from ritz.flows.settings import AUTH, URL, loopback, setting
from ritz.storage.wording import shown

PATIENCE = 20.0
"""Seconds that a server on a loaded machine may take to answer."""

PROOF = "/ritz/proof"
"""Where a server that Ritz has started proves that it has its key."""

_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_SHOWN = 60
"""Characters of an answer that a message shows."""


class ServerError(ValueError):
    """No Prefect server answers, or none could be started."""


def local_url(port: int) -> str:
    """Return the API URL of a server at a port of this machine."""
    return f"http://127.0.0.1:{port}/api"


def answers(url: str, timeout: float = PATIENCE) -> bool:
    """Return whether a Prefect server answers at an API URL in time, if only to ask who wants to know."""
    try:
        return _get(f"{url}/health", timeout=timeout).code in (HTTPStatus.OK, *_REFUSED)
    except (OSError, HTTPException, ValueError):
        return False


def check(url: str) -> dict[str, str]:
    """Make sure that what `PREFECT_API_URL` names is a Prefect API, and return the variables that are needed to use it.

    A server of this user's own `ritz serve` is used with its key where none is given, and where the URL has the very
    address at which that server proves itself: at another one of this machine, also what `localhost` may mean, somebody
    else can listen at the same port.

    Raises
    ------
    ServerError
        What answers there in its place, and what to do.
    """
    problem = _address(url)
    if problem:
        raise ServerError(
            f"{URL}: {shown(url)} is no address of a Prefect API: {problem}; expected http://HOST:PORT/api"
        )
    if "@" in urlsplit(url).netloc:
        raise ServerError(f"{URL}: holds a name or a password before '@'; expected them in {AUTH}, as user:password")
    url = url.rstrip("/")
    try:
        health = _get(f"{url}/health")
    except (OSError, HTTPException, ValueError) as error:
        raise ServerError(f"{URL}: no Prefect server answers at {shown(url)} ({_reason(error)})") from None
    if health.code not in _REFUSED:
        _check_answer(url, health, bool)
    needed = {}
    if setting(AUTH) is None and url == local_url(urlsplit(url).port or 80):
        # Another server than one's own is what the variable is for.
        with suppress(ServerError):
            if key := own_key(urlsplit(url).port or 80):
                needed[AUTH] = key
    credentials = _credentials(needed.get(AUTH))
    try:
        version = _get(f"{url}/admin/version", credentials)
    except (OSError, HTTPException, ValueError) as error:
        raise ServerError(f"{URL}: the Prefect server at {shown(url)} stopped answering ({_reason(error)})") from None
    if version.code in _REFUSED:
        said = "refuses the key in" if credentials else "asks for a key; set"
        own = local_url(urlsplit(url).port or 80)
        hint = f"; one of your own `ritz serve` is used as {own}" if loopback(url) and url != own else ""
        raise ServerError(f"{URL}: the server at {shown(url)} {said} {AUTH} (HTTP {version.code}){hint}")
    # Prefect Cloud has no such page, and its answer to the first question is enough.
    if version.code != HTTPStatus.NOT_FOUND or loopback(url):
        _check_answer(url, version, str)
    return needed


def own_key(port: int) -> str | None:
    """Return the key of the server at a port of this machine, None where nobody answers.

    Raises
    ------
    ServerError
        If what has the port was not started by this user's `ritz serve`.
    """
    key, nonce = keys.read(port), secrets.token_hex(16)
    try:
        answer = _get(f"http://127.0.0.1:{port}{PROOF}?{nonce}", timeout=PATIENCE)
    except (OSError, HTTPException, ValueError):
        return None
    if key is not None and secrets.compare_digest(answer.body, keys.proof(key, port, nonce).encode()):
        return key
    raise ServerError(
        f"port {port} of this machine is taken by a server that no `ritz serve` of yours has started; give another "
        f"--port, or set {URL}={local_url(port)} to use it all the same"
    )


def version(url: str, key: str | None) -> str | None:
    """Return the version of the Prefect server at an API URL, None where it does not tell.

    Parameters
    ----------
    key
        ``user:password``; by default that of the environment.
    """
    try:
        answer = _get(f"{url}/admin/version", _credentials(key))
        found = json.loads(answer.body) if answer.code == HTTPStatus.OK else None
    except (OSError, HTTPException, ValueError):
        return None
    return found if isinstance(found, str) else None


class _Answer(NamedTuple):
    code: int
    body: bytes
    headers: Message


class _Stay(HTTPRedirectHandler):
    """Follows no redirection: credentials are for the address that was named."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _opener(url: str) -> OpenerDirector:
    return build_opener(_Stay, *([ProxyHandler({})] if loopback(url) else []))


def _get(url: str, headers: dict[str, str] | None = None, timeout: float = PATIENCE) -> _Answer:
    request = Request(url, headers=headers or {})
    try:
        with _opener(url).open(request, timeout=timeout) as response:
            return _Answer(response.status, _start(response), response.headers)
    except HTTPError as error:
        with error:
            return _Answer(error.code, _start(error), error.headers)


def _start(response: Any) -> bytes:
    """Return the first piece of an answer: one that never ends must not be waited for."""
    body: IO[bytes] = response
    return body.read1(2**16) if hasattr(body, "read1") else body.read(2**16)


def _credentials(key: str | None) -> dict[str, str]:
    if auth := key or setting(AUTH):
        return {"Authorization": f"Basic {base64.b64encode(auth.encode()).decode()}"}
    if token := setting("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {token}"}
    return {}


def _address(url: str) -> str:
    """Return what is wrong with the form of a URL; empty where nothing is."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("http", "https"):
        return "it does not begin with http:// or https://"
    if not parts.hostname:
        return "it names no host"
    if not url.isascii() or any(character.isspace() for character in url):
        return "it has characters that no URL has"
    return ""


def _check_answer(url: str, answer: _Answer, expected: type) -> None:
    try:
        value = json.loads(answer.body) if answer.code == HTTPStatus.OK else None
    except ValueError:
        value = None
    if isinstance(value, expected):
        return
    said = f"HTTP {answer.code}"
    if location := answer.headers.get("Location"):
        said += f", moved to {location[:_SHOWN]!r}"
    elif answer.body:
        said += f", {answer.body[:_SHOWN].decode(errors='replace')!r}"
    below = f"{url}/api"
    hint = f"did you mean {shown(below)}?" if _is_api(below) else "expected the URL of an API, as http://HOST:PORT/api"
    raise ServerError(f"{URL}: what answers at {shown(url)} is no Prefect API ({said}); {hint}")


def _is_api(url: str) -> bool:
    try:
        # For a hint nobody waits long.
        answer = _get(f"{url}/health", timeout=2)
        return answer.code == HTTPStatus.OK and json.loads(answer.body) is True
    except (OSError, HTTPException, ValueError):
        return False


def _reason(error: Exception) -> str:
    """Return in a few words why nothing came."""
    cause = error.reason if isinstance(error, URLError) else error
    text = (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or type(cause).__name__
    return text[:200]
