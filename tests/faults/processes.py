"""The processes of a run, seen from outside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from tests.faults.trapped import solved


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


def workers(driver: int) -> Iterator[psutil.Process]:
    """The driver's own Dask workers, also those that are starting."""
    for process in psutil.Process(driver).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(process.cmdline()) and alive(process):
                yield process


def solvers(driver: int, folder: Path) -> list[psutil.Process]:
    """The driver's workers that have solved something of `tests.faults.trapped.Trapped`."""
    known = {pid for pid, _ in solved(folder)}
    return [process for process in workers(driver) if process.pid in known]


def trainers(driver: int) -> list[psutil.Process]:
    """The driver's workers that have loaded torch: those that train, and no others."""
    found = []
    for process in workers(driver):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if any("libtorch" in mapped.path for mapped in process.memory_maps()):
                found.append(process)
    return found
