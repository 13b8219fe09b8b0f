"""Makes this process a client of the Prefect server that its environment names."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any

from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)

from ritz.flows.settings import AUTH, RETRIES, URL


def connected() -> AbstractContextManager[Any]:
    """Ask the server that the environment names, with the key that it holds, meanwhile.

    Prefect has read its settings when it was imported, which may be before the server was started.
    """
    named = {PREFECT_API_URL: URL, PREFECT_API_AUTH_STRING: AUTH, PREFECT_CLIENT_MAX_RETRIES: RETRIES}
    return temporary_settings({setting: os.environ[name] for setting, name in named.items() if name in os.environ})
