from __future__ import annotations

import ipaddress
import os
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

STARTED = time.time()
"""When this process began, but for the start of Python."""

DEFAULT_STORE = "ritz-store"
"""Where datasets, models and runs lie if nobody says otherwise: a folder in the working directory."""

SHIPPED = {
    # A loaded machine needs more than the default 20 s for the embedded server.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    # Nothing leaves the machine.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # What the stages say is part of a flow run's log.
    "PREFECT_LOGGING_EXTRA_LOGGERS": "ritz",
    # What is said outside of one is not, and needs no warning each time.
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # What a server answers whose database is away: a run that ended just then would stay "Running" for ever.
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
}
"""What every process of the project that imports Prefect sets."""

QUIET = {"PREFECT_LOGGING_LEVEL": "CRITICAL", "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL"}
"""For commands that show the progress themselves: Prefect's lines and tracebacks would say it twice."""

EMBEDDED = {
    # As Prefect starts its own ephemeral server: no pages, and settings that later imports do not change.
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    # It ends with its command: what an event should start is for a server that stays.
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
}
"""What the server of a single run gets beside `SHIPPED`."""

AUTH = "PREFECT_API_AUTH_STRING"
"""Variable with the ``user:password`` that a client of Prefect gives."""

URL = "PREFECT_API_URL"
"""Variable with the URL of the API that a client of Prefect asks."""

RETRIES = "PREFECT_CLIENT_MAX_RETRIES"
"""Variable with how often a client of Prefect asks again; five times, the default, are two minutes."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def prepare_prefect(settings: Mapping[str, str] = SHIPPED) -> None:
    """Set what Prefect reads at its import, where the environment does not say otherwise.

    What is on this machine is asked without a proxy from here on, by this process and those that it starts.
    """
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    _bypass_proxies()


def setting(name: str) -> str | None:
    """Return what a client of Prefect finds under the name of a variable: in the environment, else in its profile.

    To be asked before Prefect is imported, which would settle where its server is.
    """
    if name in os.environ:
        return os.environ[name]
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    path = Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml"))
    try:
        known = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # None was ever written, or Prefect says what is wrong with it.
        return None
    profile = os.environ.get("PREFECT_PROFILE", known.get("active"))
    value = known.get("profiles", {}).get(profile, {}).get(name)
    return None if value is None else str(value)


def guarded(port: int, key: str) -> dict[str, str]:
    """Return the settings of a server that answers its own pages and those who have its key.

    The names are those that Prefect looks at first; each has an older one, which the environment may hold.

    Parameters
    ----------
    port
        Its port on the loopback interface.
    key
        ``user:password``.
    """
    return {
        "PREFECT_SERVER_API_AUTH_STRING": key,
        # The server asks itself too.
        AUTH: key,
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{port}",
        "PREFECT_SERVER_API_CORS_ALLOWED_METHODS": "GET,POST,PATCH,PUT,DELETE",
    }


def loopback(url: str) -> bool:
    """Whether a URL names this machine by its loopback interface."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bypass_proxies() -> None:
    if not any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in os.environ):
        return
    hosts = [*_LOOPBACK, *([urlsplit(url).hostname] if loopback(url := os.environ.get(URL, "")) else [])]
    for name in ("no_proxy", "NO_PROXY"):
        known = [host.strip() for host in os.environ.get(name, os.environ.get("no_proxy", "")).split(",")]
        if "*" not in known:
            os.environ[name] = ",".join(dict.fromkeys([*filter(None, known), *filter(None, hosts)]))
