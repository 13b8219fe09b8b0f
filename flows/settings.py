from __future__ import annotations

import os
from collections.abc import Mapping

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
}
"""What every process of the project that imports Prefect sets."""

QUIET = {"PREFECT_LOGGING_LEVEL": "CRITICAL"}
"""For commands that show the progress themselves: Prefect's lines and tracebacks would say it twice."""

EMBEDDED = {
    # As Prefect starts its own ephemeral server: no pages, and settings that later imports do not change.
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}
"""What the server of a single run gets beside `SHIPPED`."""


def prepare_prefect(settings: Mapping[str, str] = SHIPPED) -> None:
    """Set what Prefect reads at its import, where the environment does not say otherwise."""
    for name, value in settings.items():
        os.environ.setdefault(name, value)
