"""The processes of a run, seen from outside."""

from __future__ import annotations

import os
from contextlib import suppress

import psutil


def alive(process: psutil.Process) -> bool:
    """Whether a process still runs; one that nobody has waited for does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def in_group(group: int) -> list[psutil.Process]:
    """The live processes of a process group."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and alive(process):
                found.append(process)
        except ProcessLookupError:
            continue
    return found


def children(parent: psutil.Process, word: str) -> list[psutil.Process]:
    """The live children of a process, none of one that is gone, that have a word in their command line."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for process in parent.children():
            with suppress(psutil.NoSuchProcess):
                if any(word in argument for argument in process.cmdline()) and alive(process):
                    found.append(process)
    return found


def forks(driver: psutil.Process) -> list[psutil.Process]:
    """The live Dask workers of a driver, which are forks of a process of its own."""
    found = []
    for origin in children(driver, "multiprocessing.forkserver"):
        with suppress(psutil.NoSuchProcess):
            found += [worker for worker in origin.children() if alive(worker)]
    return found
