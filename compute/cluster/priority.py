"""Dask loads this in every worker of this machine before it begins."""

from __future__ import annotations

import os

NICENESS = 5
"""By how much workers stand back: a driver that waits behind them for a core keeps all of them waiting."""


def dask_setup(_: object) -> None:
    """Lower the priority of this thread, and so of all threads that the worker will start."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
