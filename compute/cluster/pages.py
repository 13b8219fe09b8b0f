"""Preload module of Dask: turns off the HTTP pages of the schedulers and workers of this machine."""

from __future__ import annotations

from typing import Any


def dask_setup(server: Any) -> None:
    """Remove all HTTP routes: Dask opens a port for its pages, and lists them, even with the dashboard off."""
    for router in (server.http_application.default_router, server.http_application.wildcard_router):
        router.rules.clear()
