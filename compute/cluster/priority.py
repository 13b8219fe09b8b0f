"""Preload module of Dask: lowers the priority of the workers of this machine."""

from __future__ import annotations

import os

NICENESS = 5
"""Niceness of workers, so that the driver gets a core first: all of them wait while it waits."""


def dask_setup(_: object) -> None:
    """Lower the priority of this thread, which all threads of the worker inherit."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
