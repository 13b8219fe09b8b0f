"""Dask loads this in every scheduler and worker of this machine when it begins."""

from __future__ import annotations

from typing import Any


def dask_setup(server: Any) -> None:
    """Answer nothing by HTTP: Dask opens a port for its pages, and lists them, also where none were asked for."""
    for router in (server.http_application.default_router, server.http_application.wildcard_router):
        router.rules.clear()
